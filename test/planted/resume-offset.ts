/**
 * A download that goes on where it was after a crash. The broken one notes its position before the bytes are on the disk:
 * when the power fails in between, the file has a hole, or something twice, and the size is right. Two faults have to
 * meet: something that makes it begin anew, and a disk that loses what was not synced.
 */
import { DefaultP2P } from '@moosicbox/p2p'
import type { Scenario } from '@moosicbox/p2p/simtest'
import { scenario } from '@moosicbox/p2p/simtest'
import { answer, Asker, bytesOf, valueOf } from './support.ts'

const SIZE = 40_000
const PART = 1000

/** The byte at a position of the file. */
function byteAt(position: number): number {
  return (position * 31 + (position >> 8)) & 0xff
}

export function resumeOffset(isRepaired: boolean): Scenario {
  const faults = {
    everyMs: 3000,
    maxForMs: 4000,
    weights: { crash: 3, restart: 3, partition: 1, 'link-degrade': 1, 'address-change': 1 },
  }
  const options = { seeds: 1000, faults, faultsForMs: 30_000 }
  return scenario('a download resumes where it was', options, async (sim) => {
    let isDone = false
    const server = sim.host('server', async () => {
      await answer(await DefaultP2P.create(), (question) => {
        const from = valueOf<number>(question)
        return Uint8Array.from({ length: Math.min(PART, SIZE - from) }, (_, i) => byteAt(from + i))
      })
    })
    const home = sim.lan({ name: 'home', nat: sim.pick(['home', 'symmetric'], 'nat') })
    const player = sim.host('player', { lan: home }, async (host) => {
      const { disk, runtime } = host
      const asker = new Asker(await DefaultP2P.create(), host, server)
      const stored = disk.exists('file') ? disk.sizeBytes('file') : 0
      let position = isRepaired || !disk.exists('position') ? stored : valueOf<number>(await disk.read('position'))
      while (position < SIZE) {
        const part = await asker.ask(bytesOf(position))
        if (isRepaired) {
          await disk.writeAt('file', position, part)
          await disk.fsync('file')
        } else {
          await disk.write('position.new', bytesOf(position + part.length))
          await disk.fsync('position.new')
          await disk.rename('position.new', 'position')
          await disk.writeAt('file', position, part)
        }
        position += part.length
        await runtime.sleep(200)
      }
      await disk.syncNames()
      if (disk.exists('file')) await disk.fsync('file')
      isDone = true
    })
    await sim.run({ forMs: 30_000 })
    await sim.converge('the file is there', () => isDone)
    const file = player.diskState.exists('file') ? player.diskState.read('file') : new Uint8Array(0)
    if (file.length !== SIZE) throw new Error(`the file has ${file.length} of ${SIZE} bytes`)
    const wrong = file.findIndex((byte, i) => byte !== byteAt(i))
    if (wrong >= 0) throw new Error(`the file is wrong at byte ${wrong}`)
  })
}
