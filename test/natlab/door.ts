/**
 * Whether the native door is here.
 *
 * @module
 */
import { P2PError } from '@moosicbox/p2p'
import { IrohP2P } from '@moosicbox/p2p/iroh'

/** Why it is not, or undefined. A node on loopback without relays sends nothing. */
export async function whyNoNativeDoor(): Promise<string | undefined> {
  try {
    const node = await IrohP2P.create({ binding: 'native', relay: 'disabled', bind: ['127.0.0.1:0'] })
    await node.close()
    return undefined
  } catch (error) {
    if (P2PError.is(error, 'unsupported')) return error.message
    throw error
  }
}
