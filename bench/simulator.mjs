// How fast whole programs run in the simulator: woken code, requests and a transfer. virtual / real says how much
// faster than life it runs. What it is made of is measured alone in the scheduler, network and transport suites.
import { parseSimulatorConfig } from '@moosicbox/p2p'
import { Simulation, SimulatorP2P } from '@moosicbox/p2p/simulator'
import { figure, report, rounds, suiteOptions } from './lib/suite.mjs'

const options = suiteOptions()
const { scale } = options
const config = parseSimulatorConfig({ SIMULATOR_DEFAULT_LATENCY_MS: '25', SIMULATOR_DEFAULT_PACKET_LOSS: '0' })

/** Programs that sleep: an event, a promise, and the code behind it. */
async function wokenEvents() {
  const sleeps = Math.round(20_000 * scale)
  const results = await rounds(options.rounds, async () => {
    const sim = new Simulation({ seed: 1, config })
    for (let i = 0; i < 10; i++) {
      sim.host(`host-${i}`, async (host) => {
        for (let n = 0; n < sleeps; n++) await host.runtime.sleep(1)
      })
    }
    const { events } = await sim.run()
    await sim.close()
    return { events }
  })
  return [figure('events that wake a program', 'events/s', results, ({ ms, events }) => (1000 * events) / ms)]
}

/** W1: ten hosts, each sends a 100 B request to a random other every 100 virtual ms and gets it back; 25 ms one way. */
async function requests() {
  const seconds = Math.round(60 * scale)
  const payload = new Uint8Array(100).fill(9)
  const results = await rounds(options.rounds, async () => {
    const sim = new Simulation({ seed: 1, config })
    const nodes = []
    let answered = 0
    for (let i = 0; i < 10; i++) {
      sim.host(`host-${i}`, async (host) => {
        const p2p = await SimulatorP2P.create()
        nodes[i] = p2p
        const listener = await p2p.listen()
        const echo = async (connection) => {
          for (;;) {
            const stream = await connection.acceptStream()
            await stream.write(await stream.readToEnd(1024))
            await stream.finish()
          }
        }
        const accept = async () => {
          for await (const connection of listener) echo(connection).catch(() => {})
        }
        void accept()
        await host.runtime.sleep(1000)
        const connections = new Map()
        for (let n = 0; n < seconds * 10; n++) {
          const other = (i + 1 + Math.floor(host.runtime.random() * 9)) % 10
          let connection = connections.get(other)
          if (!connection) connections.set(other, (connection = await p2p.connect(nodes[other].address())))
          const stream = await connection.openStream()
          await stream.write(payload)
          await stream.finish()
          const answer = await stream.readToEnd(1024)
          if (answer.length === 100) answered++
          await host.runtime.sleep(50)
        }
        await host.runtime.sleep(500)
      })
    }
    const { virtualMs, events, ended } = await sim.run()
    await sim.close()
    if (ended !== 'programs' || answered !== seconds * 100) throw new Error(`${answered} answers, ended by ${ended}`)
    return { virtualMs, events, answered }
  })
  const name = '10 hosts, requests of 100 B over the transport'
  return [
    figure(name, 'virtual / real', results, ({ ms, virtualMs }) => virtualMs / ms),
    figure(name, 'requests/s', results, ({ ms, answered }) => (1000 * answered) / ms),
    figure(name, 'events/s', results, ({ ms, events }) => (1000 * events) / ms),
  ]
}

/** One bulk transfer of 16 MiB over 100 Mbit/s and 10 ms. */
async function bulk() {
  const megabytes = Math.max(2, Math.round(16 * scale))
  const chunk = new Uint8Array(65_536).fill(3)
  const results = await rounds(options.rounds, async () => {
    const link = { latencyMs: 10, bandwidthLimitBitsPerSecond: 100_000_000 }
    const sim = new Simulation({ seed: 1, config })
    let address
    let received = 0
    sim.host('receiver', { link }, async () => {
      const p2p = await SimulatorP2P.create()
      const listener = await p2p.listen()
      address = p2p.address()
      const connection = await listener.accept()
      const stream = await connection.acceptReceiveStream()
      for (let bytes = await stream.read(); bytes; bytes = await stream.read()) received += bytes.length
    })
    sim.host('sender', { link }, async (host) => {
      const p2p = await SimulatorP2P.create()
      await host.runtime.sleep(10)
      const connection = await p2p.connect(address)
      const stream = await connection.openSendStream()
      for (let i = 0; i < megabytes * 16; i++) await stream.write(chunk)
      await stream.finish()
      await connection.end()
    })
    const { virtualMs } = await sim.run()
    await sim.close()
    if (received !== megabytes * 1_048_576) throw new Error(`${received} bytes received`)
    return { virtualMs }
  })
  const name = 'one transfer over 100 Mbit/s, 10 ms'
  return [
    figure(name, 'MB/s, real', results, ({ ms }) => (megabytes * 1.048576 * 1000) / ms),
    figure(name, 'virtual / real', results, ({ ms, virtualMs }) => virtualMs / ms),
  ]
}

const figures = [...(await wokenEvents()), ...(await requests()), ...(await bulk())]
report('simulator: one thread', figures, options)
