/** A process of its own that sells three and then waits to be killed: `node sell-until-killed.ts <dataDir>`. Says `SOLD` when it has. */
import { writeSync } from 'node:fs';
import { ActorSystem } from '../../runtime/index.ts';
import { lamp } from './modules/lamp-first.ts';
import { shop } from './modules/shop-first.ts';

const actors = ['shop-first', 'lamp-first'].map((name) => new URL(`./modules/${name}.ts`, import.meta.url));
const system = await ActorSystem.start({ dataDir: process.argv[2] ?? '', threads: 1, actors });
const sold = await system.spawn(shop, { id: 's' });
for (let i = 0; i < 3; i++) await sold.tell({ type: 'SELL' });
const pressed = system.ref(lamp, 'l');
for (let i = 0; i < 3; i++) await pressed.tell({ type: 'PRESS' });
writeSync(1, 'SOLD\n');
