/**
 * Who may use a relay; that may change while it runs.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../core/config.ts'
import { NodeId } from '../core/node-id.ts'
import { Tokens } from './handshake.ts'
import type { RelayAccess, RelayAccessCallback, RelayAccessRequest, RelayAdmission, RelayIds } from './options.ts'

interface Rules {
  readonly access: RelayAccessCallback
  readonly tokens: Tokens | undefined
}

/** Reads ids, so that a list with a misspelt one fails at the start and not by letting the wrong one in. */
function idSet(ids: RelayIds): ReadonlySet<string> {
  return new Set([...ids].map((id) => (typeof id === 'string' ? NodeId.parse(id) : id).toString()))
}

function resolveAccess(access: RelayAccess | undefined): RelayAccessCallback {
  if (access === undefined) return () => true
  if (typeof access === 'function') return access
  checkOptions('access', access, ['allow', 'deny'])
  const allow = access.allow && idSet(access.allow)
  const deny = idSet(access.deny ?? [])
  return ({ id }) => !deny.has(id.toString()) && (!allow || allow.has(id.toString()))
}

function resolveTokens(tokens: Iterable<string> | undefined): Tokens | undefined {
  if (tokens === undefined) return undefined
  const list = typeof tokens === 'string' ? [] : [...tokens]
  if (list.length === 0 || list.some((token) => typeof token !== 'string' || token === '')) {
    // The values stay out of the message: they are secrets.
    throw invalidConfiguration('tokens', '…', 'must be a list of texts, at least one, none empty')
  }
  return new Tokens(list)
}

function resolveRules({ access, tokens }: RelayAdmission): Rules {
  return { access: resolveAccess(access), tokens: resolveTokens(tokens) }
}

async function decide({ access, tokens }: Rules, request: RelayAccessRequest): Promise<true | string> {
  if (tokens && !tokens.has(request.token)) return 'the token is missing or unknown'
  try {
    const verdict: unknown = await access(request)
    if (verdict === true) return true
    return typeof verdict === 'string' ? verdict : 'not authorized'
  } catch {
    // A decision that fails lets nobody in.
    return 'the relay cannot decide now'
  }
}

/** Decides on clients, by the rules of the moment. */
export class Admission {
  #rules: Rules

  /** @throws P2PError `invalid-configuration`, `invalid-node-id` */
  constructor(options: RelayAdmission) {
    this.#rules = resolveRules(options)
  }

  /** Decides by other rules from now on; when they make no sense, by those that were there. @throws as the constructor */
  change(options: RelayAdmission): void {
    this.#rules = resolveRules(options)
  }

  /** Whether a client may use the relay, or why not; when the rules change in the meantime, it is decided anew. */
  async decide(request: RelayAccessRequest): Promise<true | string> {
    for (;;) {
      const rules = this.#rules
      const verdict = await decide(rules, request)
      if (rules === this.#rules) return verdict
    }
  }
}
