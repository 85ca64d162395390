/**
 * The public names of `collaborative-blocks`, one by one. The package's only file that knows both the runtime and what plugs into it.
 */
export { defineActor, type ActorDefinition } from '../actors/index.ts';
export { ActorRef, type ActorSnapshot, type MessageOptions } from './system/actor-ref.ts';
export { ActorSystem, type SpawnOptions, type SystemEvents, type SystemStats } from './system/actor-system.ts';
export type { SystemOptions } from './system/options.ts';
