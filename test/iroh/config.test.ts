import { describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { isIpv4, isLoopback } from '../../src/iroh/addresses.ts'
import { parseIrohEnvironment, resolveIrohSettings } from '../../src/iroh/config.ts'

describe('settings', () => {
  test('have defaults', () => {
    expect(resolveIrohSettings()).toEqual({
      bind: undefined,
      relay: 'default',
      relayRoots: [],
      relayTimeoutMs: 3_000,
      reflectors: [],
      access: {},
      admission: {},
    })
  })

  test('come from options first, then from the environment', () => {
    const env = { P2P_LISTEN_PORT: '4433', P2P_RELAY_MODE: 'disabled' }
    expect(resolveIrohSettings({}, env)).toEqual({
      bind: ['0.0.0.0:4433', '[::]:4433'],
      relay: 'disabled',
      relayRoots: [],
      relayTimeoutMs: 3_000,
      reflectors: [],
      access: {},
      admission: {},
    })
    const options = { bind: ['[::1]:0'], relay: ['https://relay.example/'], relayTimeoutMs: 0 }
    expect(resolveIrohSettings(options, env)).toEqual({
      ...options,
      relay: [{ url: 'https://relay.example/' }],
      relayRoots: [],
      reflectors: [],
      access: {},
      admission: {},
    })
    expect(resolveIrohSettings({}, { P2P_IROH_BINDING: 'official' }).binding).toBe('official')
    const access = { allow: [testNodeId('a')], deny: [] }
    expect(resolveIrohSettings(access).access).toEqual(access)
  })

  test('are copies', () => {
    const bind = ['127.0.0.1:0']
    const settings = resolveIrohSettings({ bind })
    bind.push('[::1]:0')
    expect(settings.bind).toEqual(['127.0.0.1:0'])
  })

  test.each([
    [{ bind: [] }, 'bind'],
    [{ bind: '127.0.0.1:0' as never }, 'bind'],
    [{ bind: ['localhost:0'] }, 'bind'],
    [{ bind: ['127.0.0.1'] }, 'bind'],
    [{ bind: ['127.0.0.1:70000'] }, 'bind'],
    [{ bind: ['::1:80'] }, 'bind'],
    [{ bind: [4433 as never] }, 'bind'],
    [{ relay: 'off' as never }, 'relay'],
    [{ relay: [] }, 'relay'],
    [{ relay: ['relay.example'] }, 'relay'],
    [{ relay: ['ftp://relay.example/'] }, 'relay'],
    [{ relayRoots: 'root.pem' as never }, 'relayRoots'],
    [{ relayRoots: ['root.pem'] }, 'relayRoots'],
    [{ relayRoots: ['-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----'] }, 'relayRoots'],
    [{ relayTimeoutMs: -1 }, 'relayTimeoutMs'],
    [{ relayTimeoutMs: Number.NaN }, 'relayTimeoutMs'],
    [{ relayTimeoutMs: 60_001 }, 'relayTimeoutMs'],
    [{ allow: 'everybody' as never }, 'allow'],
    [{ deny: ['nobody' as never] }, 'deny'],
  ])('that make no sense are refused: %j', (options, name) => {
    expect(() => resolveIrohSettings(options)).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        message: expect.stringMatching(new RegExp(`^${name} = `)) as string,
      }),
    )
  })
})

describe('the environment', () => {
  test.each([
    [{}, { bind: undefined, relay: undefined }],
    [
      { P2P_LISTEN_PORT: '', P2P_RELAY_MODE: '' },
      { bind: undefined, relay: undefined },
    ],
    [{ P2P_LISTEN_PORT: '0' }, { bind: undefined, relay: undefined }],
    [{ P2P_RELAY_MODE: 'default' }, { bind: undefined, relay: 'default' }],
    [
      { P2P_RELAY_MODE: ' http://a.example/ , https://b.example/x,' },
      { bind: undefined, relay: [{ url: 'http://a.example/' }, { url: 'https://b.example/x' }] },
    ],
  ])('%j is %j', (env, expected) => {
    expect(parseIrohEnvironment(env)).toEqual(expected)
  })

  test.each([
    [{ P2P_LISTEN_PORT: '65536' }, /^P2P_LISTEN_PORT = "65536"/],
    [{ P2P_LISTEN_PORT: '-1' }, /^P2P_LISTEN_PORT = "-1"/],
    [{ P2P_LISTEN_PORT: '80 ' }, /^P2P_LISTEN_PORT = "80 "/],
    [{ P2P_LISTEN_PORT: '0x50' }, /^P2P_LISTEN_PORT/],
    [{ P2P_IROH_BINDING: 'best' }, /^P2P_IROH_BINDING = "best"/],
    [{ P2P_RELAY_MODE: 'none' }, /^P2P_RELAY_MODE = "none"/],
    [{ P2P_RELAY_MODE: ',' }, /^P2P_RELAY_MODE/],
    [{ P2P_RELAY_MODE: 'https://a.example/,b' }, /^P2P_RELAY_MODE = "b"/],
  ])('%j is refused by name', (env, message) => {
    expect(() => parseIrohEnvironment(env)).toThrow(
      expect.objectContaining({ code: 'invalid-configuration', message: expect.stringMatching(message) as string }),
    )
  })
})

describe('addresses', () => {
  test.each([
    ['127.0.0.1:80', true],
    ['127.255.0.3:80', true],
    ['[::1]:80', true],
    ['[0:0:0:0:0:0:0:1]:80', true],
    ['128.0.0.1:80', false],
    ['0.0.0.0:80', false],
    ['[::]:80', false],
    ['[::2]:80', false],
    ['[100::1]:80', false],
    ['localhost:80', false],
  ])('%s is loopback: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected)
  })

  test('are of one family or the other', () => {
    expect([isIpv4('1.2.3.4:5'), isIpv4('[::1]:5'), isIpv4('x')]).toEqual([true, false, false])
  })
})
