/** Room for a commit: when it is taken first, and where a quota may refuse it. */
import { openSync, closeSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DiskRoom } from '../../../runtime/journal/disk-room.ts';
import { mayHaveQuota } from '../../../runtime/journal/quota.ts';
import { tmpDir } from '../../support/tmp-dir.ts';

const MOUNTS = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 8:2 / /home rw,relatime shared:2 - ext4 /dev/sda2 rw,quota,usrquota
31 22 8:3 / /srv rw,relatime - xfs /dev/sdb rw,attr2,inode64,noquota
32 22 8:4 / /srv/projects rw,relatime - xfs /dev/sdc rw,attr2,prjquota
33 22 8:5 / /mnt/with\\040space rw - ext4 /dev/sdd rw,usrjquota=aquota.user,jqfmt=vfsv0
34 30 0:40 / /home/me/tmp rw - tmpfs tmpfs rw,size=65536k
`;

test.each([
  ['/var/data', false],
  ['/home/me/data', true],
  ['/home', true],
  ['/homework', false],
  ['/srv/data', false],
  ['/srv/projects/a', true],
  ['/mnt/with space/data', true],
  ['/home/me/tmp/data', false],
])('%s: quotas %s', (path, expected) => {
  expect(mayHaveQuota(path, MOUNTS)).toBe(expected);
});

test('without a list of mounts there are none', () => {
  expect(mayHaveQuota('/data', '')).toBe(false);
});

test('where there may be a quota the room is taken before the commit, however much the disk has', async () => {
  await using folder = await tmpDir('room');
  const file = folder.at('data.mdb');
  closeSync(openSync(file, 'w'));
  const wanted = 300_000;
  for (const [quotas, size] of [
    [false, 0],
    [true, wanted],
  ] as const) {
    const room = new DiskRoom(folder.path, file, quotas);
    room.reserve(wanted, () => 0);
    room.close();
    expect(statSync(file).size).toBe(size);
  }
});
