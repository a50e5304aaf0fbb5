// A flood: a server, an honest client and an attacker, each a process of its own, and what the honest one notices.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { quantile } from '../lib/stats.mjs'

function start(name, args, env = {}) {
  const file = fileURLToPath(new URL(`./${name}.mjs`, import.meta.url))
  const options = { execArgv: ['--conditions=iroh'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }
  return fork(file, args.map(String), { ...options, env: { ...process.env, ...env } })
}

async function ask(child) {
  child.send('tell')
  return (await once(child, 'message'))[0]
}

/**
 * The figures of each phase: first a quiet one, then each attack.
 *
 * @param door `native` or `official`: that of the server and of the honest client
 * @param attacks `[how, count]`
 */
export async function runFlood({ door, attackers, attacks, quietMs }) {
  const server = start('server', [door])
  const [{ ticket, backend }] = await once(server, 'message')
  const honest = start('honest', [door, ticket])
  await once(honest, 'message')
  const phases = []

  async function phase(name, work) {
    await ask(honest)
    const before = await ask(server)
    const begun = performance.now()
    let most = before.rssBytes
    const over = new AbortController()
    const watch = async () => {
      while (!over.signal.aborted) {
        most = Math.max(most, (await ask(server)).rssBytes)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    const watching = watch()
    const startedMs = await work()
    const ms = performance.now() - (startedMs ?? begun)
    over.abort()
    await watching
    const after = await ask(server)
    const { requests, connects, failed } = await ask(honest)
    const of = (list, share) => (list.length === 0 ? Number.NaN : quantile(list, share))
    phases.push({
      name,
      ms,
      requests: requests.length,
      p50Ms: of(requests, 0.5),
      p99Ms: of(requests, 0.99),
      maxMs: Math.max(...requests),
      connects: connects.length,
      connectP50Ms: of(connects, 0.5),
      connectMaxMs: Math.max(...connects),
      failed,
      cpuShare: (after.cpuMs - before.cpuMs) / ms,
      rssMiB: most / 1_048_576,
      asked: after.asked - before.asked,
    })
  }

  try {
    await phase('quiet', () => new Promise((resolve) => setTimeout(resolve, quietMs)))
    for (const [how, count] of attacks) {
      await phase(`${count} ${how}`, async () => {
        const attacker = start('attacker', [how, ticket, count], { P2P_IROH_BINDING: attackers })
        await once(attacker, 'message')
        const begun = performance.now()
        const [code] = await once(attacker, 'exit')
        if (code !== 0) throw new Error(`the attacker failed (${code})`)
        return begun
      })
    }
    await phase('quiet again', () => new Promise((resolve) => setTimeout(resolve, quietMs)))
  } finally {
    honest.disconnect()
    server.disconnect()
  }
  return { backend, phases }
}
