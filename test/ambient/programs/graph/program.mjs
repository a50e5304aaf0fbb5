import { count, drawn, since } from './state.mjs'
import { count as again } from './nested/again.mjs'
import { shared } from './shared.cjs'

export default async function program({ name, log, runtime }) {
  log.push(
    `${name}${count()}${again()}`,
    `${name}:${since}:${drawn}`,
    `shared${(shared.count = (shared.count ?? 0) + 1) > 0}`,
  )
  await runtime.sleep(10)
}
