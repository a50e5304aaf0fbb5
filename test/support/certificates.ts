/**
 * An authority of its own and certificates of it, made with openssl.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']

/** A certificate and its key, and the files they are in. */
export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly certFile: string
  readonly keyFile: string
}

function make(folder: string, name: string, args: readonly string[]): Certificate {
  const [certFile, keyFile] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  const out = ['-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', ['req', '-x509', ...KEY, '-subj', `/CN=${name}`, ...args, ...out], { stdio: 'ignore' })
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile }
}

const extension = (text: string): string[] => ['-addext', text]
const alternatives = (names: readonly string[]): string[] => extension(`subjectAltName=${names.join(',')}`)

/** An authority, in files of `folder`; with `names` a server can use it too, as a certificate that signs itself. */
export function makeAuthority(folder: string, name = 'authority', names: readonly string[] = []): Certificate {
  return make(folder, name, names.length > 0 ? alternatives(names) : [])
}

/** A certificate that `authority` vouches for; `names` such as `DNS:localhost` and `IP:127.0.0.1`. */
export function makeCertificate(
  folder: string,
  name: string,
  names: readonly string[],
  authority: Certificate,
): Certificate {
  const issuer = ['-CA', authority.certFile, '-CAkey', authority.keyFile]
  return make(folder, name, [...issuer, ...alternatives(names), ...extension('basicConstraints=critical,CA:FALSE')])
}
