/**
 * Loading `@number0/iroh`, which is an optional dependency: only when a node is created, never when this package is.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import { P2PError } from '../../core/errors.ts'

/** The binding's module. */
export type Official = typeof iroh

const PACKAGE = '@number0/iroh'

/**
 * The binding.
 *
 * @param load for tests
 * @throws P2PError `unsupported` when the package, or its part for this platform, is missing
 */
export async function loadOfficial(
  load: () => Promise<Official> = async () => import('@number0/iroh'),
): Promise<Official> {
  try {
    return await load()
  } catch (error) {
    const missing = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND'
    const platform = `${process.platform}-${process.arch}`
    throw P2PError.of(
      'unsupported',
      missing
        ? `the iroh backend needs the package ${PACKAGE}, which is not installed: npm install ${PACKAGE}`
        : `the package ${PACKAGE} cannot be loaded on ${platform}: it may have no native part for this platform, or ` +
            `npm left it out (then: npm install ${PACKAGE}); the simulator works everywhere`,
      { what: `${PACKAGE} on ${platform}`, backend: 'iroh (official)' },
      { cause: error },
    )
  }
}
