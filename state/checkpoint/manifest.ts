/**
 * The manifest of a checkpoint as a file: one line that says what it is, how long and with which SHA-256, then JSON that a
 * person can read. Written whole, never changed.
 *
 *   millrace manifest 1 <sha-256 of the rest, hexadecimal> <bytes of the rest>\n
 *   {…}\n
 */
import { createHash } from 'node:crypto';
import type { Manifest } from '../../core/ports/checkpoint.ts';
import { Damage } from './block-reader.ts';

export const manifestVersion = 1;

/** `MANIFEST-00000012`: names sort as ids do. */
export const manifestName = (checkpointId: number): string => `MANIFEST-${String(checkpointId).padStart(8, '0')}`;

/** Null: not the name of a manifest. */
export function checkpointIdOf(name: string): number | null {
  const match = /^MANIFEST-(\d{8,10})$/.exec(name);
  return match ? Number(match[1]) : null;
}

/** One that counts no more, since an older one was gone on from: kept for people to look at while its neighbours are. */
export const passedOverName = (checkpointId: number): string => `passed-over-${String(checkpointId).padStart(8, '0')}`;

/** Null: not the name of a manifest that was passed over. */
export function passedOverIdOf(name: string): number | null {
  const match = /^passed-over-(\d{8,10})$/.exec(name);
  return match ? Number(match[1]) : null;
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  const body = new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`);
  const head = new TextEncoder().encode(`millrace manifest ${manifestVersion} ${sha256(body)} ${body.length}\n`);
  const bytes = new Uint8Array(head.length + body.length);
  bytes.set(head);
  bytes.set(body, head.length);
  return bytes;
}

/** Errors: `Damage` naming `path`. */
export function decodeManifest(bytes: Uint8Array, path: string): Manifest {
  const end = bytes.subarray(0, 256).indexOf(10);
  const head = /^millrace manifest (\d+) ([0-9a-f]{64}) (\d+)$/.exec(
    end < 0 ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1'),
  );
  if (head === null) throw new Damage(path, 'does not begin as a manifest does');
  const [, version, hash, length] = head;
  if (Number(version) !== manifestVersion) {
    throw new Damage(path, `is a manifest of format ${version}, this version reads format ${manifestVersion}`);
  }
  const body = bytes.subarray(end + 1);
  if (String(body.length) !== length)
    throw new Damage(path, `has ${body.length} bytes behind its first line, ${length} were expected`);
  if (sha256(body) !== hash) throw new Damage(path, 'its hash does not match');
  const manifest = JSON.parse(new TextDecoder().decode(body)) as Manifest;
  if (manifest.version !== manifestVersion) {
    throw new Damage(path, `says version ${manifest.version}, ${manifestVersion} was expected`);
  }
  return manifest;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
