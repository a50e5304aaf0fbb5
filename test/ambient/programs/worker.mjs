// The same simulation on the main thread and in two workers.
import { isMainThread, Worker } from 'node:worker_threads'
import { Simulation } from '@moosicbox/p2p/simulator'

const sim = new Simulation({ seed: 9, ambient: true })
for (const name of ['a', 'b']) {
  sim.host(name, async () => {
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, Math.random() * 100))
    await crypto.subtle.digest('SHA-256', crypto.getRandomValues(new Uint8Array(100)))
  })
}
const { hash } = await sim.run()
const work = () =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { stdout: true })
    worker.stdout.setEncoding('utf8').on('data', (text) => resolve(text.trim()))
    worker.on('error', reject)
  })
if (isMainThread) console.log(hash, ...(await Promise.all([work(), work()])))
else process.stdout.write(hash)
