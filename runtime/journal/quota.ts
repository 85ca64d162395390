/**
 * Whether writes into a folder may be refused though the disk has room: by a quota, of which `statfs` says nothing.
 *
 * Owns: reading Linux' list of mounts. A server's quotas on a network disk are not in it.
 */
import { readFileSync } from 'node:fs';

const MOUNTS = '/proc/self/mountinfo';
/** Options of ext4, xfs, f2fs and others, of users, groups and projects. `noquota` is xfs' word for none. */
const QUOTA = /^(?:(?:usr|grp|prj|u|g|p)?quota|(?:u|g|p)qnoenforce|(?:usr|grp|prj)jquota=.+)$/;

/** `path` is without symbolic links. */
export function mayHaveQuota(path: string, mounts: string = readMounts()): boolean {
  let longest = '';
  let found = false;
  for (const line of mounts.split('\n')) {
    // 36 35 98:0 /root /mount options fields - type source options-of-the-file-system
    const [before, after] = line.split(' - ');
    const [, , , , at, options] = (before ?? '').split(' ');
    if (at === undefined || after === undefined) continue;
    const mount = at.replaceAll(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    const holds = mount === '/' || path === mount || path.startsWith(`${mount}/`);
    // The last of two mounts on one place hides the first.
    if (!holds || mount.length < longest.length) continue;
    longest = mount;
    const all = [...(options ?? '').split(','), ...(after.split(' ')[2] ?? '').split(',')];
    found = all.some((option) => QUOTA.test(option));
  }
  return found;
}

function readMounts(): string {
  try {
    return readFileSync(MOUNTS, 'utf8');
  } catch {
    // Not Linux.
    return '';
  }
}
