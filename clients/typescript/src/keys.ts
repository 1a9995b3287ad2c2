/** What a client of locked services says of its key. */
export interface KeyOptions {
  /** The key of locked services. */
  apiKey?: string | undefined;
  /** Sends the key over plain HTTP to other machines too, where anybody on the way can read it. Default: false. */
  plaintextKey?: boolean | undefined;
}

/**
 * Throws a TypeError if a key would leave this machine unencrypted.
 *
 * @param baseUrl Where calls go to; in a browser it may be relative to the page.
 * @param options The key, and whether that is allowed.
 */
export function checkKey(baseUrl: string, options: KeyOptions): void {
  if (!options.apiKey || options.plaintextKey) return;
  const page = (globalThis as { location?: { href: string } }).location?.href;
  const { protocol, hostname } = new URL(baseUrl, page);
  const isLoopback = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  if (protocol !== "https:" && !isLoopback) {
    throw new TypeError(`${baseUrl}: the key would be sent in plain text; use https://, or set plaintextKey`);
  }
}
