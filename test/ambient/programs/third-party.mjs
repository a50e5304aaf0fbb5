// Third-party code, unmodified, inside of hosts: prints the hash of the history and a digest of what was seen.
import { createHash } from 'node:crypto'
import { DefaultP2P } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { Hono } from 'hono'
import PQueue from 'p-queue'
import pRetry from 'p-retry'
import * as Y from 'yjs'

const which = process.argv[2]
const seed = Number(process.argv[3] ?? 1)
const log = []

/** hono: a web application with middleware, served over p2p and asked by two players. */
async function hono(sim) {
  const server = sim.host('server', async () => {
    const app = new Hono()
    app.use(async (context, next) => {
      const started = Date.now()
      await next()
      context.header('x-took', String(Date.now() - started))
      context.header('x-id', crypto.randomUUID())
    })
    app.get('/tracks/:id', async (context) => {
      await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20))
      return context.json({ id: context.req.param('id'), at: new Date().toISOString() })
    })
    app.get('/stream', (context) =>
      context.body(
        new ReadableStream({
          async pull(controller) {
            await new Promise((resolve) => setTimeout(resolve, 3))
            if (Math.random() < 0.2) controller.close()
            else controller.enqueue(crypto.getRandomValues(new Uint8Array(50)))
          },
        }),
      ),
    )
    const p2p = await DefaultP2P.create()
    await p2p.serve(app)
  })
  for (const name of ['ann', 'ben']) {
    sim.host(name, async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      await runtime.sleep(100)
      for (let i = 0; i < 4; i++) {
        const answer = await p2p.fetch(`p2p://${server.id}/tracks/${i}`)
        log.push(`${name} ${await answer.text()} ${answer.headers.get('x-took')} ${answer.headers.get('x-id')}`)
      }
      const body = await (await p2p.fetch(`p2p://${server.id}/stream`)).arrayBuffer()
      log.push(`${name} ${createHash('sha256').update(new Uint8Array(body)).digest('hex')}`)
      await p2p.close()
    })
  }
}

/** p-queue: rate limits and time-outs, on two hosts at once. */
async function queue(sim) {
  for (const name of ['ann', 'ben']) {
    sim.host(name, async () => {
      const tasks = new PQueue({ concurrency: 2, interval: 50, intervalCap: 3, timeout: 40 })
      const work = async (i) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 45))
        log.push(`${name} ${i} at ${performance.now()} ${Date.now()}`)
      }
      await Promise.all(
        Array.from({ length: 12 }, (_, i) =>
          tasks.add(() => work(i)).catch((error) => log.push(`${name} ${i} ${error.name}`)),
        ),
      )
    })
  }
}

/** p-retry: exponential back-off with jitter. */
async function retry(sim) {
  for (const name of ['ann', 'ben']) {
    sim.host(name, async () => {
      let attempts = 0
      const result = await pRetry(
        () => {
          log.push(`${name} tries at ${performance.now()}`)
          if (++attempts < 5) throw new Error('not yet')
          return 'done'
        },
        { retries: 6, randomize: true, minTimeout: 100 },
      )
      log.push(`${name} ${result} at ${new Date().toISOString()}`)
    })
  }
}

/** yjs: three editors of one text, each with a random client id, who exchange updates over p2p and must agree. */
async function yjs(sim) {
  const names = ['ann', 'ben', 'cat']
  const texts = new Map()
  const hosts = names.map((name) =>
    sim.host(name, async ({ runtime }) => {
      const p2p = await DefaultP2P.create()
      const listener = await p2p.listen()
      const doc = new Y.Doc()
      const connections = []
      const take = async (connection) => {
        connections.push(connection)
        await connection.send(Y.encodeStateAsUpdate(doc))
        for await (const update of connection) Y.applyUpdate(doc, update, connection)
      }
      const accept = async () => {
        for await (const connection of listener) take(connection).catch(() => {})
      }
      void accept()
      await runtime.sleep(50)
      for (const host of hosts.slice(0, names.indexOf(name))) take(await p2p.connect(host.id)).catch(() => {})
      doc.on('update', (update, origin) => {
        for (const connection of connections) if (connection !== origin) void connection.send(update)
      })
      log.push(`${name} is ${doc.clientID}`)
      await runtime.sleep(500)
      for (let i = 0; i < 10; i++) {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 100))
        const text = doc.getText('song')
        text.insert(Math.floor(Math.random() * (text.length + 1)), `${name[0]}${i} `)
      }
      await runtime.sleep(5000)
      texts.set(name, doc.getText('song').toJSON())
      log.push(`${name} ${texts.get(name)}`)
    }),
  )
  return () => {
    if (texts.size !== 3 || new Set(texts.values()).size !== 1) throw new Error('the editors do not agree')
  }
}

const sim = new Simulation({ seed, ambient: true })
const check = await { hono, queue, retry, yjs }[which](sim)
const { hash, ended, virtualMs, report } = await sim.run({ forMs: 60_000 })
check?.()
await sim.close()
if (process.env.SHOW) console.log(log.join('\n'), report)
console.log(hash, ended, virtualMs, log.length, createHash('sha256').update(log.join('\n')).digest('hex').slice(0, 16))
