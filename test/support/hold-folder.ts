/** A process of its own that holds a data folder until it is ended: `node hold-folder.ts <dataDir>`. Says `HELD` when it does. */
import { writeSync } from 'node:fs';
import { ActorSystem } from '../../runtime/index.ts';

await ActorSystem.start({ dataDir: process.argv[2] ?? '', threads: 0 });
writeSync(1, 'HELD\n');
