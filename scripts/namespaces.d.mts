/** What a way into namespaces comes to. */
export type Way = { readonly command: readonly string[] } | { readonly why: string }

export function wayInto(flags: readonly string[], script: string, options?: { readonly asRoot?: boolean }): Way

export function networkOf(pid: number, way: readonly string[]): string[]
