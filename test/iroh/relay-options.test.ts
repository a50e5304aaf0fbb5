import { describe, expect, test } from 'vitest'
import { P2PError } from '../../src/core/errors.ts'
import { checkRelays, parseRelays } from '../../src/iroh/relay-options.ts'
import { attempt } from '../support/attempt.ts'

describe('the option `relay`', () => {
  test.each([
    ['default', 'default'],
    ['disabled', 'disabled'],
    [['http://a.example'], [{ url: 'http://a.example/' }]],
    [['https://a.example/?token=s3cret'], [{ url: 'https://a.example/', token: 's3cret' }]],
    [[{ url: 'https://a.example/?x=1&token=no', token: 'yes' }], [{ url: 'https://a.example/?x=1', token: 'yes' }]],
    [[{ url: 'http://A.example:80', quicPort: 7 }], [{ url: 'http://a.example/', quicPort: 7 }]],
    // Of one relay the first counts.
    [['http://a.example?token=a', 'http://a.example/'], [{ url: 'http://a.example/', token: 'a' }]],
  ] as const)('%j', (relay, expected) => {
    expect(checkRelays('relay', relay)).toEqual(expected)
  })

  test('in an environment variable', () => {
    expect(parseRelays('P2P_RELAY_MODE', ' default ')).toBe('default')
    expect(parseRelays('P2P_RELAY_MODE', 'http://a.example?token=a, http://b.example,')).toEqual([
      { url: 'http://a.example/', token: 'a' },
      { url: 'http://b.example/' },
    ])
  })

  test.each([
    ['off'],
    [[]],
    [['relay.example']],
    [['ftp://relay.example/']],
    [[{ url: 7 }]],
    [[undefined]],
    [['https://me:s3cret@relay.example/']],
    [['https://relay.example/?token=s3cret%0ax']],
    [['nonsense?token=s3cret']],
    [[{ url: 'https://relay.example/', token: 's3cret with spaces' }]],
    [[{ url: 'https://relay.example/', token: '' }]],
    [[{ url: 'https://relay.example/', token: 's3cret'.repeat(1000) }]],
    [[{ url: 'https://relay.example/', quicPort: 65_536 }]],
    [Array.from({ length: 33 }, (_, i) => `http://${i}.example/?token=s3cret`)],
  ])('%j makes no sense, which is said without a secret', (relay) => {
    const outcome = attempt(() => checkRelays('relay', relay as never))
    if ('value' in outcome) throw new Error('it was taken')
    const error = outcome.error as P2PError
    expect(P2PError.is(error, 'invalid-configuration')).toBe(true)
    expect(error.message).toMatch(/^relay/)
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('s3cret')
  })
})
