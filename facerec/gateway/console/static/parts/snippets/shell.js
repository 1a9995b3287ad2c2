/** Text in a shell's command line. */

/**
 * A text as one word of a POSIX shell.
 *
 * @param {string} text
 * @returns {string}
 */
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * The option with the key, for curl and grpcurl; empty where none is needed.
 *
 * @param {boolean} keysRequired
 * @returns {string[]}
 */
export function keyOption(keysRequired) {
  return keysRequired ? ['-H "authorization: Bearer $FACEREC_API_KEY"'] : [];
}

/**
 * A command of several words, on lines of their own where one would be long.
 *
 * @param {string} name
 * @param {string[]} words Its arguments, quoted.
 * @returns {string}
 */
export function command(name, words) {
  const line = [name, ...words].join(" ");
  return line.length <= 80 && !line.includes("\n") ? line : [name, ...words].join(" \\\n  ");
}
