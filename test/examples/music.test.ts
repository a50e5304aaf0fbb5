/** The music example in the simulator: the whole story, and what must not happen in it. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { DefaultP2P, P2PError, P2PResponse } from '@moosicbox/p2p'
import { Simulation } from '@moosicbox/p2p/simulator'
import { describe, expect, test } from 'vitest'
import { encodeControl } from '../../examples/music/control.ts'
import type { ControlRequest, Session } from '../../examples/music/control.ts'
import { sha256 } from '../../examples/music/digest.ts'
import { MusicError } from '../../examples/music/errors.ts'
import { listen } from '../../examples/music/listening.ts'
import { MusicLibrary } from '../../examples/music/media/index.ts'
import { Player } from '../../examples/music/player.ts'
import type { Report } from '../../examples/music/report.ts'
import { serveMusic } from '../../examples/music/server.ts'
import { simulateStory } from '../../examples/music/story/simulated.ts'
import { stream } from '../../examples/music/streaming.ts'

const folder = fileURLToPath(new URL('../../examples/music/library', import.meta.url))

/** Runs `play` on a player whose server has the default library, over a good line; what it returns. */
async function simulate<T>(
  play: (p2p: DefaultP2P, player: Player, reports: readonly Report[]) => Promise<T>,
): Promise<T> {
  await using sim = new Simulation({ seed: 7 })
  let result: { readonly value: T } | undefined
  sim.host('server', { link: 'fibre' }, async () => {
    const p2p = await DefaultP2P.create()
    await serveMusic(p2p, await MusicLibrary.scan(folder, { runtime: p2p.runtime }))
    await p2p.register('home')
  })
  sim.host('player', { link: 'fibre' }, async (host) => {
    await host.runtime.sleep(1000)
    await using p2p = await DefaultP2P.create()
    const reports: Report[] = []
    const player = await Player.connect(p2p, await p2p.discover('home'), { report: (report) => reports.push(report) })
    result = { value: await play(p2p, player, reports) }
    await player.close()
  })
  await sim.run({ forMs: 600_000 })
  if (!result) throw new Error('the player did not come to its end')
  return result.value
}

describe('the story', () => {
  test('happens the same way twice, and another way with another seed', async () => {
    const tell = async (seed: bigint): Promise<{ readonly hash: string; readonly reports: readonly Report[] }> => {
      const reports: Report[] = []
      const { hash } = await simulateStory({ seed, folder }, (report) => reports.push(report))
      return { hash, reports }
    }
    const [first, second, other] = [await tell(1n), await tell(1n), await tell(2n)]
    expect(second).toEqual(first)
    expect(other.hash).not.toBe(first.hash)
    const types = first.reports.map(({ type }) => type)
    for (const type of ['FOUND', 'CONNECTED', 'PATH', 'CATALOGUE', 'COVER', 'SOUND', 'PROGRESS', 'SEEK', 'ENDED']) {
      expect(types).toContain(type)
    }
  })

  test('every byte of the track arrives once, and is that of the file', async () => {
    const parts: { readonly offset: number; readonly bytes: Uint8Array }[] = []
    const reports: Report[] = []
    await simulateStory(
      { seed: 3n, folder },
      (report) => reports.push(report),
      (_, offset, bytes) => parts.push({ offset, bytes }),
    )
    const offsets = parts.map(({ offset }) => offset)
    const sorted = parts.sort((a, b) => a.offset - b.offset)
    const whole = Buffer.concat(sorted.map(({ bytes }) => bytes))
    const original = await readFile(`${folder}/The Loopbacks/Hole Punching/03 Keep-Alive.flac`)
    expect(whole.equals(original)).toBe(true)
    expect(new Set(offsets).size).toBe(offsets.length)
    expect(reports).toContainEqual({ type: 'VERIFIED', bytes: original.length, blocks: parts.length })
    // The listener jumped: what was skipped came last.
    const inOrder = [...offsets].sort((a, b) => a - b)
    expect(offsets).not.toEqual(inOrder)
    const listened = reports.find((report) => report.type === 'LISTENED')
    expect(listened).toMatchObject({ pauses: 0 })
    const ended = reports.find((report) => report.type === 'ENDED')
    expect(ended?.control?.count).toBeGreaterThan(20)
    expect(ended?.control?.p50Ms).toBeGreaterThan(40)
  })
})

describe('a player', () => {
  test('streams a track in order', async () => {
    const original = await readFile(`${folder}/The Loopbacks/Hole Punching/01 First Packet.flac`)
    const { bytes, verified } = await simulate(async (_, player, reports) => {
      const { items } = await player.client.albums()
      const tracks = await player.client.tracks(items.flatMap(({ trackIds }) => trackIds))
      const track = tracks.find(({ title }) => title === 'First Packet')
      if (!track) throw new Error('no such track')
      const chunks: Uint8Array[] = []
      await stream(player, track, (chunk) => Promise.resolve(void chunks.push(chunk)))
      return { bytes: Buffer.concat(chunks), verified: reports.find(({ type }) => type === 'VERIFIED') }
    })
    expect(bytes.equals(original)).toBe(true)
    expect(verified).toMatchObject({ bytes: original.length, sha256: sha256(original) })
  })

  test('detects a single wrong bit, whether it listens or streams', async () => {
    await using sim = new Simulation({ seed: 7 })
    const failures: unknown[] = []
    sim.host('server', {}, async () => {
      const p2p = await DefaultP2P.create()
      const library = await MusicLibrary.scan(folder, { runtime: p2p.runtime })
      await serveMusic(p2p, library, {
        middleware: async (request, next) => {
          const answer = await next()
          if (request.path !== '/files/track' || !answer.headers.get('content-range')?.startsWith('bytes 131072-')) {
            return answer
          }
          const chunks: Uint8Array[] = []
          for await (const chunk of answer.body as AsyncIterable<Uint8Array>) chunks.push(chunk)
          const bytes = Buffer.concat(chunks)
          bytes.writeUInt8(bytes.readUInt8(1000) ^ 1, 1000)
          return new P2PResponse(bytes, { status: answer.status, headers: answer.headers })
        },
      })
      await p2p.register('home')
    })
    sim.host('player', {}, async (host) => {
      await host.runtime.sleep(1000)
      await using p2p = await DefaultP2P.create()
      const player = await Player.connect(p2p, await p2p.discover('home'), { report: () => {} })
      const [track] = await player.client.tracks([1])
      if (!track) throw new Error('no track')
      const listening = listen(player, track, { beforeSeekMs: 1000, afterSeekMs: 1000 })
      failures.push(await listening.catch((error: unknown) => error))
      const streaming = stream(player, track, () => Promise.resolve())
      failures.push(await streaming.catch((error: unknown) => error))
    })
    await sim.run({ forMs: 600_000 })
    const message = "bytes 131072 to 196607 of track 1 are not what the server's digest says"
    expect(failures).toEqual([new MusicError(message), new MusicError(message)])
  })

  test('is told clearly what does not exist', async () => {
    const answers = await simulate(async (p2p) => {
      const home = await p2p.discover('home')
      const get = async (path: string): Promise<string> => {
        const answer = await p2p.request(home, { method: 'GET', path })
        return `${answer.status} ${await answer.text()}`
      }
      return Promise.all(
        [
          '/files/track?trackId=4711',
          '/files/track?trackId=../../etc/passwd',
          '/files/track',
          '/files/track/digest?trackId=0',
          '/files/albums/4711/cover',
          '/menu/tracks',
          '/menu/albums?limit=100000',
          '/menu/nothing',
        ].map((path) => get(path)),
      )
    })
    expect(answers).toEqual([
      '404 there is no track 4711',
      '400 trackId must be a whole number',
      '400 trackId must be a whole number',
      '404 there is no track 0',
      '404 there is no cover of an album 4711',
      '400 each of trackIds must be a whole number',
      '400 limit must be a whole number from 0 to 500',
      expect.stringMatching(/^404 /),
    ])
  })

  test('asks for parts of a track as HTTP has it', async () => {
    const answers = await simulate(async (p2p) => {
      const home = await p2p.discover('home')
      const ask = async (method: string, range?: string): Promise<readonly unknown[]> => {
        const headers = range === undefined ? {} : { range }
        const answer = await p2p.request(home, { method, path: '/files/track?trackId=1', headers })
        const bytes = await answer.bytes()
        return [answer.status, answer.headers.get('content-type'), answer.headers.get('content-range'), bytes.length]
      }
      return [
        await ask('HEAD'),
        await ask('GET', 'bytes=10-19'),
        await ask('GET', 'bytes=-5'),
        await ask('GET', 'bytes=999999999-'),
      ]
    })
    expect(answers).toEqual([
      [200, 'audio/mpeg', undefined, 0],
      [206, 'audio/mpeg', 'bytes 10-19/255729', 10],
      [206, 'audio/mpeg', 'bytes 255724-255728/255729', 5],
      [416, undefined, 'bytes */255729', 0],
    ])
  })
})

describe('the control channel', () => {
  const session: Session = { sessionId: 'kitchen', trackId: 1, playing: true, positionMs: 500, volume: 1 }

  test('every controller sees what another one does', async () => {
    const seen = await simulate(async (p2p, player) => {
      const home = await p2p.discover('home')
      const other = await Player.connect(p2p, home, { report: () => {} })
      const heard: Session[] = []
      other.control.onSession = (one) => heard.push(one)
      // Whoever has said something hears everything from then on.
      await other.control.ping()
      await player.control.update(session)
      await player.control.seek('kitchen', 9000)
      await other.control.ping()
      const sessions = await other.control.sessions()
      await other.close()
      return { heard, sessions }
    })
    expect(seen.heard).toMatchObject([session, { ...session, positionMs: 9000 }])
    expect(seen.sessions).toEqual([{ ...session, positionMs: 9000 }])
  })

  test('says no in one sentence, and goes on', async () => {
    await simulate(async (_, player) => {
      await expect(player.control.seek('nobody', 0)).rejects.toThrow('the server says: there is no session nobody')
      await expect(player.control.update({ ...session, volume: 11 })).rejects.toThrow('volume must be a number')
      await player.control.ping()
    })
  })

  test('answers garbage with an error and lives on', async () => {
    const answers = await simulate(async (p2p) => {
      const connection = await p2p.connect(await p2p.discover('home'))
      const answers: string[] = []
      const say = async (bytes: Uint8Array): Promise<void> => {
        await connection.send(bytes)
        answers.push(new TextDecoder().decode(await connection.recv()))
      }
      await say(new TextEncoder().encode('{"type":"PING"'))
      await say(Uint8Array.of(0xff, 0xfe, 0))
      await say(new TextEncoder().encode('{"type":"REBOOT","requestId":3}'))
      await say(encodeControl({ type: 'PING', requestId: 4 } satisfies ControlRequest))
      await connection.end()
      return answers.map((answer) => JSON.parse(answer) as unknown)
    })
    expect(answers).toEqual([
      { type: 'ERROR', message: 'a control message is JSON in UTF-8' },
      { type: 'ERROR', message: 'a control message is JSON in UTF-8' },
      { type: 'ERROR', requestId: 3, message: expect.stringMatching(/^type must be one of PING/) },
      { type: 'PONG', requestId: 4 },
    ])
  })

  test('a player whose server is gone is told so', async () => {
    await using sim = new Simulation({ seed: 7 })
    let failure: unknown
    sim.host('server', {}, async () => {
      const p2p = await DefaultP2P.create()
      await serveMusic(p2p, await MusicLibrary.scan(folder, { runtime: p2p.runtime }))
      await p2p.register('home')
    })
    sim.host('player', {}, async (host) => {
      await host.runtime.sleep(1000)
      await using p2p = await DefaultP2P.create()
      const player = await Player.connect(p2p, await p2p.discover('home'), { report: () => {} })
      const [track] = await player.client.tracks([1])
      if (!track) throw new Error('no track')
      failure = await listen(player, track, { beforeSeekMs: 5000, afterSeekMs: 5000 }).catch((error: unknown) => error)
    })
    sim.at('4s', () => sim.crash('server'))
    await sim.run({ forMs: 600_000 })
    expect(P2PError.is(failure) || failure instanceof MusicError).toBe(true)
  })
})
