/** Relays with certificates of an authority of one's own. Needs openssl. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { RelayServer } from '../../src/relay/index.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../src/iroh/index.ts'
import { makeAuthority, makeCertificate } from '../support/certificates.ts'
import { NATIVE_DOOR } from './doors.ts'

const folder = mkdtempSync(join(tmpdir(), 'p2p-roots-'))
afterAll(() => rmSync(folder, { recursive: true }))
const authority = makeAuthority(folder)
const other = makeAuthority(folder, 'other')
const tls = makeCertificate(folder, 'relay', ['IP:127.0.0.1'], authority)

async function relaysOf(options: IrohCreateOptions, waitMs: number): Promise<readonly string[]> {
  const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, tls })
  onTestFinished(() => relay.close())
  const local = { binding: 'native', bind: ['127.0.0.1:0', '[::1]:0'], relay: [relay.url] } as const
  const node = await IrohP2P.create({ ...local, relayTimeoutMs: waitMs, ...options })
  onTestFinished(() => node.close())
  return node.address().relays
}

test.runIf(NATIVE_DOOR.here)('are used by a node that is told of the authority', async () => {
  // Several to a text, as bundles are.
  expect(await relaysOf({ relayRoots: [`${other.cert}\n${authority.cert}`] }, 20_000)).toHaveLength(1)
})

test.runIf(NATIVE_DOOR.here)('are not used by one that is told of another', async () => {
  expect(await relaysOf({ relayRoots: [other.cert] }, 1000)).toEqual([])
})

test('cannot be had through the official binding', async () => {
  const options = { binding: 'official', relay: ['https://127.0.0.1:1/'], relayRoots: [authority.cert] } as const
  await expect(IrohP2P.create(options)).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('use the native door') as string,
  })
})
