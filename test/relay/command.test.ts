/** https, a certificate that is renewed, and the command `p2p-relay`. Needs `npm run build`, and openssl for a certificate. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { NodeId } from '../../src/core/node-id.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { RelayServer } from '../../src/relay/index.ts'
import { LOOPBACK } from '../iroh/endpoints.ts'
import { makeAuthority } from '../support/certificates.ts'
import type { Certificate } from '../support/certificates.ts'
import { TestClient } from './client.ts'

const COMMAND = fileURLToPath(new URL('../../dist/cli/p2p-relay.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'p2p-relay-'))
const file = (name: string): string => join(folder, name)
const LOCALHOST = ['DNS:localhost', 'IP:127.0.0.1']
const children: ChildProcess[] = []

async function subjectAt(port: number): Promise<unknown> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const subject = socket.getPeerCertificate().subject.CN
  socket.destroy()
  return subject
}

function run(...args: string[]): { readonly child: ChildProcess; readonly line: Promise<string> } {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  const line = new Promise<string>((resolve) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()))
    child.stderr.once('data', (data: Buffer) => resolve(data.toString().trim()))
  })
  return { child, line }
}

let first: Certificate
let second: Certificate

beforeAll(() => {
  first = makeAuthority(folder, 'first', LOCALHOST)
  second = makeAuthority(folder, 'second', LOCALHOST)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('https', () => {
  test('serves clients, and a renewed certificate to those who come later', async () => {
    const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, tls: first })
    expect(relay.url).toBe(`https://127.0.0.1:${relay.port}`)
    const a = await TestClient.connect(relay.url, 'a', { ca: first.cert })
    relay.setCertificate(second)
    expect(await subjectAt(relay.port)).toBe('second')
    expect(() => relay.setCertificate({ cert: first.cert, key: second.key })).toThrow(/certificate/)
    expect(await subjectAt(relay.port)).toBe('second')
    const b = await TestClient.connect(relay.url, 'b', { ca: second.cert })
    b.send(4, a.idBytes, 0, 'hello')
    expect((await a.next())?.subarray(34).toString()).toBe('hello')
    await relay.close({ graceMs: 50 })
    expect(relay.metrics().connections).toBe(0)
  })

  test('is not spoken by a relay without a certificate', async () => {
    const relay = await RelayServer.start({ host: '127.0.0.1', port: 0 })
    expect(() => relay.setCertificate(first)).toThrow(/without tls/)
    await expect(subjectAt(relay.port)).rejects.toThrow(/wrong version|packet length|disconnected|ECONNRESET|hang up/i)
    await relay.close({ graceMs: 50 })
  })

  test('a certificate and the key of another', async () => {
    const tls = { cert: first.cert, key: second.key }
    const started = RelayServer.start({ host: '127.0.0.1', port: 0, tls })
    await expect(started).rejects.toMatchObject({ code: 'invalid-configuration', setting: 'tls' })
  })
})

describe('the command', () => {
  test('serves, takes a new certificate, and ends when told to', async () => {
    writeFileSync(file('cert.pem'), first.cert)
    writeFileSync(file('key.pem'), first.key)
    writeFileSync(file('tokens'), '\nsecret\n\n')
    const address = ['--host', '127.0.0.1', '--port', '0', '--cert', file('cert.pem'), '--key', file('key.pem')]
    const rules = ['--tokens', file('tokens'), '--deny', testNodeId('mallory').toString(), '--rate', '1000000']
    const { child, line } = run(...address, ...rules)
    const url = (await line).replace('relay on ', '')
    const port = Number(new URL(url).port)
    const query = '?token=secret'
    const client = await TestClient.connect(url, 'a', { ca: first.cert, query })
    expect((await (await TestClient.greet(url, 'mallory', { ca: first.cert, query })).next())?.[0]).toBe(3)
    expect((await (await TestClient.greet(url, 'b', { ca: first.cert })).next())?.[0]).toBe(3)
    writeFileSync(file('cert.pem'), second.cert)
    writeFileSync(file('key.pem'), second.key)
    child.kill('SIGHUP')
    await expect.poll(() => subjectAt(port)).toBe('second')
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    expect((await client.next())?.[0]).toBe(12)
    expect(await exit).toEqual([0, null])
  })

  test('reads again who may use it, cuts off who may not any more, and shows its metrics elsewhere', async () => {
    writeFileSync(file('tokens'), 'first\nsecond\n')
    writeFileSync(file('allowed'), ['alice', 'bob'].map((name) => `${testNodeId(name).toString()}\n`).join(''))
    writeFileSync(file('denied'), '')
    const files = ['--tokens', file('tokens'), '--allow-file', file('allowed'), '--deny-file', file('denied')]
    const ids = ['--allow', testNodeId('carol').toString()]
    const { child, line } = run('--host', '127.0.0.1', '--port', '0', '--metrics-port', '0', ...files, ...ids)
    const [, url = '', metrics = ''] = /^relay on (\S+), metrics on (\S+)$/.exec(await line) ?? []
    const connect = (name: string, token: string): Promise<TestClient> =>
      TestClient.connect(url, name, { query: `?token=${token}` })
    const [alice, bob, carol] = [
      await connect('alice', 'first'),
      await connect('bob', 'second'),
      await connect('carol', 'second'),
    ]
    await expect(connect('dave', 'first')).rejects.toThrow('not accepted')
    expect(await (await fetch(metrics)).text()).toContain('p2p_relay_clients 3\n')
    expect((await fetch(`${url}/metrics`)).status).toBe(404)

    writeFileSync(file('tokens'), 'second\n')
    writeFileSync(file('denied'), `${testNodeId('bob').toString()}\n`)
    child.kill('SIGHUP')
    await Promise.all([alice.closed, bob.closed])
    await carol.settle()
    await expect(connect('alice', 'first')).rejects.toThrow('not accepted')

    writeFileSync(file('denied'), 'nonsense\n')
    const complaint = once(child.stderr as NodeJS.ReadableStream, 'data')
    child.kill('SIGHUP')
    expect(String(await complaint)).toContain('what was there before stays in use')
    await expect(connect('bob', 'second')).rejects.toThrow('not accepted')
    await carol.settle()
    await carol.close()
  })

  test('with reflectors, of which it tells and which it ends with itself', async () => {
    const ports = ['--port', '0', '--reflector-port', '0', '--reflector-port', '0']
    const { child, line } = run('--host', '127.0.0.1', ...ports, '--reflector-address', '127.0.0.1')
    const url = (await line).replace('relay on ', '')
    const { reflectors } = (await (await fetch(`${url}/reflector`)).json()) as {
      readonly reflectors: readonly {
        readonly id: string
        readonly port: number
        readonly addresses: readonly string[]
      }[]
    }
    expect(reflectors).toHaveLength(2)
    for (const { port, addresses } of reflectors) expect(addresses).toEqual([`127.0.0.1:${port}`])
    const relayless = { relay: 'disabled', bind: LOOPBACK } as const
    const tickets = reflectors.map(({ id, addresses }) => new P2PAddress(NodeId.parse(id), addresses).toTicket())
    await using node = await IrohP2P.create({ ...relayless, reflectors: tickets })
    expect(node.reflectors().map(({ observed }) => observed.length > 0)).toEqual([true, true])
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
    await expect.poll(() => node.reflectors().flatMap(({ observed }) => observed), { timeout: 10_000 }).toEqual([])
  })

  test('with reflectors at two addresses, which are two to whoever asks', async () => {
    const ports = ['127.0.0.1:0', '127.0.0.2:0'].flatMap((address) => ['--reflector-port', address])
    const { child, line } = run('--host', '127.0.0.1', '--port', '0', ...ports)
    const url = (await line).replace('relay on ', '')
    const { reflectors } = (await (await fetch(`${url}/reflector`)).json()) as {
      readonly reflectors: readonly { readonly port: number; readonly addresses: readonly string[] }[]
    }
    expect(reflectors.map(({ addresses }) => addresses)).toEqual(
      reflectors.map(({ port }, i) => [`127.0.0.${i + 1}:${port}`]),
    )
    await using node = await IrohP2P.create({ relay: [url], bind: LOOPBACK, reflectors: [] })
    await expect
      .poll(() => node.reflectors().map(({ observed }) => observed.length > 0), { timeout: 10_000 })
      .toEqual([true, true])
    const exit = once(child, 'exit')
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  })

  test.each([
    [['--reflector-port', '127.0.0.1:x', '--port', '0'], /--reflector-port must be a whole number/, 2],
    [['--reflector-port', '192.0.2.77:0', '--port', '0'], /no such address/, 1],
    [['--reflector-port', 'x', '--port', '0'], /--reflector-port must be a whole number/, 2],
    [['--reflector-address', '127.0.0.1', '--port', '0'], /needs --reflector-port/, 2],
    [['--reflector-port', '99999', '--port', '0'], /bind|ip:port|port/, 1],
    [['--port', 'x'], /--port must be a whole number/, 2],
    [['--nonsense'], /nonsense/, 2],
    [['--metrics-host', '::1'], /needs --metrics-port/, 2],
    [['--port', '0', '--metrics-port', '99999'], /port/, 1],
    [['--port', '0', '--deny-file', '/none'], /--deny-file: \/none cannot be read/, 1],
    [['--cert', 'x'], /--cert and --key/, 2],
    [['--port', '0', '--cert', '/none', '--key', '/none'], /--cert: \/none cannot be read/, 1],
    [['--port', '0', '--allow', 'alice'], /no node id/, 1],
  ])('%j', async (args, message, code) => {
    const { child, line } = run(...args)
    const exit = once(child, 'exit')
    expect(await line).toMatch(message)
    expect(await exit).toEqual([code, null])
  })
})
