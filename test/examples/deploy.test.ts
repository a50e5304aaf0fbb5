/** The home server of `examples/deploy` as its unit starts it: a process on real iroh, over loopback. */
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SecretKey } from '../../src/runtime/secret-key.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { request } from '../../src/router/index.ts'
import { DOORS, NATIVE_DOOR } from '../iroh/doors.ts'
import { LOOPBACK } from '../iroh/endpoints.ts'
import { runHostileFriends } from '../../bench/hostile-friends/friends.mjs'
import { build, Program } from './built.ts'

const HEALTH = /http:\S+\/health/
const TICKET = /^endpoint\w+$/m

beforeAll(build, 120_000)

describe.each(DOORS)('the home server through the $name door', ({ name }) => {
  let folder: string
  let server: Program
  let ticket: string
  let friend: IrohP2P

  const start = (): Program => {
    const env = { STATE_DIRECTORY: join(folder, 'state'), SHARED: join(folder, 'shared'), HEALTH_PORT: '0' }
    const network = { P2P_RELAY_MODE: 'disabled', P2P_IROH_BINDING: name, NODE_ENV: 'production' }
    return new Program([], { script: 'examples/deploy/home-server.mjs', env: { ...env, ...network } })
  }
  const node = (): Promise<IrohP2P> => IrohP2P.create({ relay: 'disabled', bind: LOOPBACK, binding: name })
  const get = async (path: string): Promise<string> => {
    const answer = await request(friend, ticket, { method: 'GET', path })
    return `${answer.status} ${await answer.text()}`
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'p2p-deploy-'))
    for (const path of ['state', 'shared/albums', 'shared-not']) await mkdir(join(folder, path), { recursive: true })
    await writeFile(join(folder, 'shared/albums/song.txt'), 'la la la')
    await writeFile(join(folder, 'shared-not/secret.txt'), 'a secret')
    await symlink('albums/song.txt', join(folder, 'shared/within'))
    await symlink('../shared-not/secret.txt', join(folder, 'shared/out'))
    await symlink('../shared-not', join(folder, 'shared/folder-out'))
    friend = await node()
    await writeFile(join(folder, 'state/friends'), `\n${friend.localNodeId().toString()}\n`)
    server = start()
    ticket = (await server.says(TICKET))[0]
  }, 60_000)

  afterAll(async () => {
    server.process.kill('SIGKILL')
    await friend.close()
    await rm(folder, { recursive: true })
  })

  test('makes its key, which only it can read, and says which door it has', async () => {
    expect(server.text).toMatch(`iroh (${name}): `)
    const file = join(folder, 'state/key')
    expect((await stat(file)).mode & 0o077).toBe(0)
    expect(server.text).toContain((await SecretKey.loadOrCreate(file)).nodeId.toString())
  })

  test('gives a friend the files of its folder, and tells its health', async () => {
    expect(await get('/files/albums/song.txt')).toBe('200 la la la')
    expect(await get('/files/within')).toBe('200 la la la')
    const url = (await server.says(HEALTH))[0]
    expect(await (await fetch(url)).json()).toEqual({
      active_connections: 1,
      node_id: expect.stringMatching(/^[0-9a-f]{10}$/) as string,
      network_type: 'direct',
      uptime: expect.any(Number) as number,
    })
    expect((await fetch(new URL('/', url))).status).toBe(404)
  })

  test.each(['missing.txt', 'out', 'folder-out/secret.txt', 'albums'])('has no file %s', async (path) => {
    expect(await get(`/files/${path}`)).toMatch(/^404 /)
  })

  test.each([
    '..',
    'albums/../../shared-not/secret.txt',
    '%2e%2e/shared-not/secret.txt',
    '..%2fshared-not%2fsecret.txt',
  ])('is not asked for %s, as the router refuses it', async (path) => {
    expect(await get(`/files/${path}`)).toBe('400 The path is not valid')
  })

  test('refuses a stranger, until the list of friends has the id', async () => {
    await using stranger = await node()
    const asked = { method: 'GET', path: '/files/within' }
    await expect(request(stranger, ticket, asked)).rejects.toMatchObject({ code: 'refused' })
    const friends = join(folder, 'state/friends')
    await writeFile(friends, `${await readFile(friends, 'utf8')}${stranger.localNodeId().toString()}\n`)
    expect(await (await request(stranger, ticket, asked)).text()).toBe('la la la')
  })

  test('ends when it is told to, with friends connected, and is the same node when it starts again', async () => {
    await get('/files/within')
    server.process.kill('SIGTERM')
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' })
    const again = start()
    const id = /: (\w{52}),/
    expect((await again.says(id))[1]).toBe(id.exec(server.text)?.[1])
    await again.says(TICKET)
    expect(await again.interrupt()).toMatchObject({ code: 0, stderr: '' })
  })
})

test.runIf(NATIVE_DOOR.here && process.platform === 'linux')(
  'friends who ask for everything and read nothing leave the home server far below the memory that its unit allows',
  async () => {
    const server = await readFile(join(import.meta.dirname, '../../examples/deploy/home-server.service'), 'utf8')
    expect(server).toContain('MemoryMax=1G\n')
    const { connections, idleMiB, peakMiB } = await runHostileFriends({
      friends: 5,
      connections: 9,
      seconds: 5,
      door: 'native',
    })
    expect(connections).toBeGreaterThan(0)
    expect(connections).toBeLessThanOrEqual(32)
    expect(peakMiB).toBeGreaterThan(idleMiB)
    expect(peakMiB).toBeLessThan(640)
  },
  120_000,
)
