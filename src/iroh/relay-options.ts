/**
 * Relays as options name them.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import type { P2PRelay, RelaySetting } from '../core/system.ts'

/** More help nobody, and each is measured. */
const MAX_RELAYS = 32

/** What can stand in a header, and between spaces. */
const TOKEN = /^[\x21-\x7e]{1,1024}$/

const WHY = "must be 'default', 'disabled', or http(s) URLs of relays"

/** Relays, checked: URLs as iroh writes them, and without tokens. */
export type Relays = 'default' | 'disabled' | readonly P2PRelay[]

/** A relay of an option or an argument. */
export function asRelay(relay: string | P2PRelay): P2PRelay {
  return typeof relay === 'string' ? { url: relay } : relay
}

/**
 * Checks one relay.
 *
 * @throws P2PError `invalid-configuration` that names `setting`, and shows no token
 */
export function checkRelay(setting: string, relay: unknown): P2PRelay {
  const isObject = typeof relay === 'object' && relay !== null
  const given: Readonly<Record<string, unknown>> = isObject ? { ...relay } : { url: relay }
  const { url: text, quicPort } = given
  if (typeof text !== 'string' || !URL.canParse(text)) throw invalidConfiguration(setting, hide(text), WHY)
  const url = new URL(text)
  if (!/^https?:$/.test(url.protocol)) throw invalidConfiguration(setting, hide(text), WHY)
  if (url.username !== '' || url.password !== '') {
    throw invalidConfiguration(setting, hide(text), 'has a user or password in its URL; relays take a token')
  }
  const inUrl = url.searchParams.get('token')
  url.searchParams.delete('token')
  url.hash = ''
  const token = given['token'] ?? inUrl ?? undefined
  if (token !== undefined && (typeof token !== 'string' || !TOKEN.test(token))) {
    throw invalidConfiguration(setting, url.href, 'has a token that is none: 1 to 1024 visible characters of ASCII')
  }
  if (quicPort !== undefined && !(Number.isInteger(quicPort) && Number(quicPort) >= 0 && Number(quicPort) <= 65_535)) {
    throw invalidConfiguration(`${setting}.quicPort`, quicPort, 'must be a port, or 0 for none')
  }
  return { url: url.href, token, quicPort: quicPort as number | undefined }
}

/** A text without what may be a token, for messages. */
function hide(text: unknown): unknown {
  return typeof text === 'string' ? text.replace(/\?.*/s, '?…').replace(/\/\/[^/]*@/, '//…@') : text
}

/**
 * Checks the option `relay`; of one URL the first counts.
 *
 * @throws P2PError `invalid-configuration` that names `setting`
 */
export function checkRelays(setting: string, relay: RelaySetting): Relays {
  if (relay === 'default' || relay === 'disabled') return relay
  if (!Array.isArray(relay) || relay.length === 0) throw invalidConfiguration(setting, hide(relay), WHY)
  if (relay.length > MAX_RELAYS) throw invalidConfiguration(setting, relay.length, `are at most ${MAX_RELAYS}`)
  const relays = new Map<string, P2PRelay>()
  for (const one of relay as readonly unknown[]) {
    const checked = checkRelay(setting, one)
    if (!relays.has(checked.url)) relays.set(checked.url, checked)
  }
  return [...relays.values()]
}

/** Reads a list of URLs with commas between, or `default` or `disabled`. */
export function parseRelays(setting: string, text: string): Relays {
  const mode = text.trim()
  if (mode === 'default' || mode === 'disabled') return mode
  const urls = mode
    .split(',')
    .map((url) => url.trim())
    .filter((url) => url !== '')
  return checkRelays(setting, urls)
}
