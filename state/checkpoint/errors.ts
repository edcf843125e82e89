/** What a disk said while state was written or read, as an error for people. */
import { isMillraceError, MillraceError } from '../../core/base/errors.ts';
import { Damage } from './block-reader.ts';

/** Errors of ours pass through. */
export function stateError(error: unknown, path: string): MillraceError {
  if (isMillraceError(error)) return error;
  if (error instanceof Damage)
    return new MillraceError('state/corrupt', error.message, { where: { path: error.path }, cause: error });
  const { code, message } = error as NodeJS.ErrnoException;
  const options = { where: { path }, cause: error };
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new MillraceError(
        'state/disk-full',
        `no room is left on the disk of ${path}; free some, or put the state elsewhere`,
        {
          ...options,
          retryable: true,
        },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new MillraceError(
        'state/forbidden',
        `${path} may not be written or read (${code}); check owner and mode`,
        options,
      );
    default:
      return new MillraceError('state/failed', `the disk of ${path} failed: ${message ?? String(error)}`, options);
  }
}
