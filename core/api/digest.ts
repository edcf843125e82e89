/**
 * A digest of a function's source, by which a worker tells whether its copy of the job module built the same function.
 * The loaders of TypeScript (Node's own, jiti, tsx, vite) print one source differently, so the digest is of what they
 * leave alone: words, numbers by value, strings by content, operators. Not of comments, white space, brackets, commas,
 * kinds of quotes, or the object that a loader reads an import from. It finds an honest mistake, not an adversary.
 */
export function digestOf(source: string): string {
  return fnv1a64(essence(source));
}

/** Strings with their content, comments, numbers, words, and every other character for itself. */
const token =
  /"((?:\\[\s\S]|[^"\\])*)"|'((?:\\[\s\S]|[^'\\])*)'|(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(0[xob][\da-f_]+n?|\d[\d_]*(?:\.[\d_]+)?(?:e[+-]?\d+)?n?)|([\p{ID_Start}$_][\p{ID_Continue}$]*)|([\s\S])/giu;

/** What a loader reads an import from: `__vite_ssr_import_0__.scale`, `_words.scale`, `words_1.scale`. */
const loaderObject = /^_|_\d+$/;
const dropped = /[\s()[\]{},;`]/;

function essence(source: string): string {
  const parts: string[] = [];
  for (const [, double, single, comment, number, word, other] of source.matchAll(token)) {
    if (comment !== undefined || (other !== undefined && dropped.test(other))) continue;
    const last = parts.length - 1;
    if (number !== undefined) parts.push(number.endsWith('n') ? number : String(Number(number.replaceAll('_', ''))));
    else if (word === undefined) parts.push(double ?? single ?? (other as string));
    else if (parts[last] === '.' && loaderObject.test(parts[last - 1] ?? '')) {
      parts.splice(parts[last - 2] === '0' ? last - 2 : last - 1, 3, word);
    } else parts.push(word);
  }
  return parts.join(' ');
}

/** FNV-1a, 64 bits, over UTF-16 units (Fowler, Noll, Vo). */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, '0');
}
