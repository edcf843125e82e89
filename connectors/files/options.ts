/** Options that sinks of files share, as their specs hold them. */
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec } from '../../core/ports/connector.ts';
import { isSingleFile } from './output.ts';
import type { Roll } from './writer.ts';

/** `options.roll`: `{ bytes, everyMs }`, either of them null or absent. Errors: `option/invalid`. */
export function rollOf(spec: ConnectorSpec): Roll {
  const { roll = null } = spec.options;
  if (roll === null) return { bytes: null, everyMs: null };
  const { bytes = null, everyMs = null } = roll as { readonly bytes?: unknown; readonly everyMs?: unknown };
  return { bytes: positive(spec, 'bytes', bytes), everyMs: positive(spec, 'everyMs', everyMs) };
}

/**
 * Whether a path can be written so. Errors: `plan/unsupported` for one file of a job with checkpoints, `option/invalid` for
 * one file that rolls.
 */
export function checkFiles(
  spec: ConnectorSpec,
  path: string,
  extensions: readonly string[],
  checkpointed: boolean,
): void {
  const roll = rollOf(spec);
  if (!isSingleFile(path, extensions)) return;
  if (roll.bytes !== null || roll.everyMs !== null) {
    throw new MillraceError('option/invalid', `${path} is one file, which cannot roll; ${nameDirectory(path)}`, {
      where: { path },
    });
  }
  if (checkpointed) directoryOf(path, extensions);
}

/** The directory of a sink whose job has checkpoints. Errors: `plan/unsupported` where it is one file. */
export function directoryOf(path: string, extensions: readonly string[]): string {
  if (!isSingleFile(path, extensions)) return path;
  throw new MillraceError(
    'plan/unsupported',
    `${path} is one file, but a job with a state directory adds whole files with every checkpoint; ${nameDirectory(path)}`,
    { where: { path } },
  );
}

const nameDirectory = (path: string): string =>
  `name a directory, as in '${path.replace(/\.\w+$/, '')}', and parts with the ending are put into it`;

function positive(spec: ConnectorSpec, name: string, value: unknown): number | null {
  if (value === null || (Number.isSafeInteger(value) && (value as number) > 0)) return value as number | null;
  throw new MillraceError(
    'option/invalid',
    `${spec.label}: roll.${name} is a whole number from 1, not ${String(value)}`,
  );
}
