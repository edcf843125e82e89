/** The language of LIKE patterns: `%` any text, `_` one character, an escape character if one is named. */

/** An element of a pattern: one character that must stand there, any one character, or any text. */
export type LikeElement = { readonly char: string } | 'one' | 'any';

/** What is wrong with the pattern, for people, or null. After the SQL standard: an escape stands before %, _ or itself. */
export function likeProblem(pattern: string, escapeChar: string | null): string | null {
  if (escapeChar !== null && [...escapeChar].length !== 1)
    return `the escape character of LIKE must be one character, not '${escapeChar}'`;
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    if (chars[i] !== escapeChar) continue;
    const next = chars[++i];
    if (next !== '%' && next !== '_' && next !== escapeChar) {
      return `'${pattern}': the escape character '${escapeChar}' must stand before %, _ or itself`;
    }
  }
  return null;
}

export function likeElements(pattern: string, escapeChar: string | null): readonly LikeElement[] {
  const elements: LikeElement[] = [];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] as string;
    if (char === escapeChar) elements.push({ char: chars[++i] as string });
    else if (char === '_') elements.push('one');
    else if (char !== '%') elements.push({ char });
    else if (elements.at(-1) !== 'any') elements.push('any');
  }
  return elements;
}
