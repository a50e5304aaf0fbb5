// A program whose module has state of its own.
let count = 0

function note({ name, log, runtime }) {
  log.push(`${name}:${++count}@${runtime.now()}`)
}

export default async function program(host) {
  note(host)
  await host.runtime.sleep(10)
  note(host)
}
