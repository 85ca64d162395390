/**
 * One step of a machine: what XState computes, turned into intents of the turn.
 *
 * Owns: the scope that XState computes with (one object a machine, filled for each step), the meaning of each built-in action, the
 * books of children and timers, and the order in which intents leave. Decides nothing about states.
 *
 * XState's own actors do most actions after the transition, in order (`defer`). So does the outbox here.
 *
 * Invariants:
 * XS1. Intents leave in XState's order, after the transition. A step that throws leaves none and changes no state (MS1).
 * XS2. A child that is stopped in the step that made it is never started, and what was sent to it is dropped, as in XState.
 * XS3. Two children that live, or are still ending, never share a key: news of one is never taken for news of the other.
 * XS4. Nothing of the turn is kept after the step.
 */
import { type CellKey, childKeyOf } from '../../runtime/kernel/address.ts';
import type { Turn } from '../../runtime/kernel/behavior.ts';
import { encodeError, UnsupportedLogicError } from '../../runtime/kernel/errors.ts';
import { Reference } from '../../runtime/kernel/reference.ts';
import { ChartStep } from './chart-step.ts';
import { enterStep, hostedSystem, type MadeActor, type RunningStep } from './hosted-system.ts';
import type { DeclaredIds, LogicSources } from './logic-sources.ts';
import { adopt, MachineRef, type SelfRef } from './machine-ref.ts';
import { type Child, type MachineState, NO_CHILDREN, NO_KEYS } from './machine-state.ts';
import { NO_TIMERS, timerIdFor, timerOf, withoutTimer, withTimer } from './pending-timers.ts';
import {
  type Event,
  type ExecutableAction,
  type HostedScope,
  initialSnapshot,
  type Machine,
  type MachineSnapshot,
  nextSnapshot,
  type RaiseParams,
  type SendToParams,
  withoutChildren,
  XSTATE_STOP,
} from './xstate-internals.ts';

/** Microsteps of one event. A chart that needs more runs in circles, and would hang its host. */
const MICROSTEPS_LIMIT = 10_000;

/** What a timer of a machine carries. Without `to`, the event is for the machine itself. */
export interface TimerPayload {
  readonly id: string;
  readonly event: Event;
  readonly to?: Reference;
}

/** The input of a live source: XState's actor needs its id and whether anyone wants its snapshots. */
export interface SourceInput {
  readonly id: string;
  readonly input: unknown;
  readonly reportSnapshots: boolean;
}

/** A send to a child that the same state node invokes after its entry actions. */
interface EarlySend {
  readonly childId: string;
  readonly params: SendToParams;
}

const NOBODY = new MachineRef('', '');

export class MachineStep implements RunningStep {
  readonly scope: HostedScope;
  readonly #machine: Machine;
  readonly #sources: LogicSources;
  readonly #declared: DeclaredIds;
  readonly #microstepsLimit: number;
  /** Undefined for a chart with history states: then XState finds every next snapshot. */
  readonly #chart: ChartStep | undefined;
  #turn!: Turn;
  #self!: SelfRef;
  #children: MachineState['children'] = NO_CHILDREN;
  #stopping: MachineState['stopping'] = NO_KEYS;
  #timers: MachineState['timers'] = NO_TIMERS;
  #booked = 0;
  #microsteps = 0;
  #moved = false;
  readonly #outbox: (() => void)[] = [];
  #starting: Map<CellKey, Child> | undefined;
  #early: EarlySend[] | undefined;
  #strays: Set<CellKey> | undefined;

  constructor(machine: Machine, sources: LogicSources, declared: DeclaredIds) {
    this.#machine = machine;
    this.#sources = sources;
    this.#declared = declared;
    const { maxIterations } = machine.options;
    this.#microstepsLimit = Number.isFinite(maxIterations) ? Number(maxIterations) : MICROSTEPS_LIMIT;
    this.scope = {
      self: NOBODY as SelfRef,
      id: '',
      sessionId: '',
      system: hostedSystem,
      logger: () => {},
      // Actors made by `spawn` in an assign are deferred here; `actorMade` has seen to them.
      defer: () => {},
      emit: (event) => this.#turn.emit(event),
      stopChild: () => {},
      actionExecutor: (action) => this.#perform(action),
    };
    this.#chart = ChartStep.of(machine, this.scope, () => this.microstepTaken());
  }

  /** The first state of the cell of `self`. */
  start(self: SelfRef, input: unknown, turn: Turn): MachineState {
    this.#open(self, NO_CHILDREN, NO_KEYS, NO_TIMERS, 0, turn);
    const outer = enterStep(this);
    try {
      const snapshot = initialSnapshot(this.#machine, this.scope, input);
      // XState turns what is thrown by a first entry into a state; here it fails the turn, like any other.
      if (snapshot.status === 'error') throw snapshot.error;
      return this.#close(undefined, snapshot);
    } finally {
      this.#leave(outer);
    }
  }

  /** `event` through the machine. */
  take(state: MachineState, event: Event, turn: Turn): MachineState {
    this.#open(state.self, state.children, state.stopping, state.timers, state.booked, turn);
    const outer = enterStep(this);
    try {
      const { snapshot } = state;
      const next = this.#chart?.take(snapshot, event) ?? nextSnapshot(this.#machine, snapshot, event, this.scope);
      return this.#close(state, next);
    } finally {
      this.#leave(outer);
    }
  }

  /** A delayed event to someone else has come due. */
  deliver(state: MachineState, to: Reference, event: Event, turn: Turn): void {
    this.#open(state.self, state.children, state.stopping, state.timers, state.booked, turn);
    const outer = enterStep(this);
    try {
      this.#post(to.key, event);
      this.#flush();
    } finally {
      this.#leave(outer);
    }
  }

  // What XState asks of the running step.

  bookId(): string {
    this.#moved = true;
    return `x:${this.#booked++}`;
  }

  microstepTaken(): void {
    if (++this.#microsteps <= this.#microstepsLimit) return;
    throw new UnsupportedLogicError(
      `machine "${this.#machine.id}" took ${this.#microstepsLimit} microsteps for one event: always or raise run in circles`,
    );
  }

  find(systemId: string): MachineRef | undefined {
    for (const child of this.#children.values()) {
      if (child.systemId === systemId && !child.ended) return new MachineRef(child.key, child.id);
    }
    const address = this.#declared.addressOf(systemId, this.#self.key);
    return address === undefined ? undefined : new MachineRef(address);
  }

  named(): Record<string, MachineRef> {
    const named: Record<string, MachineRef> = {};
    for (const { systemId, ended, key, id } of this.#children.values()) {
      if (systemId !== undefined && !ended) named[systemId] = new MachineRef(key, id);
    }
    return named;
  }

  actorMade(actor: MadeActor): void {
    const { id, src, options } = actor;
    const source = this.#sources.of(src);
    if (source === undefined) {
      throw new UnsupportedLogicError(
        typeof src === 'string'
          ? `machine "${this.#machine.id}": actor "${id}" has no logic "${src}": put it into setup({ actors })`
          : `machine "${this.#machine.id}": actor "${id}" was spawned from logic given in place, which no other process can find again: ` +
              'put it into setup({ actors }) and spawn it by that name',
      );
    }
    const { systemId } = options;
    for (const child of this.#children.values()) {
      if (systemId === undefined || child.systemId !== systemId || child.ended) continue;
      throw new Error(`Actor with system ID '${systemId}' already exists.`);
    }
    const localId = this.#freeLocalId(id);
    const key = childKeyOf(this.#self.key, localId);
    const kind = source.kind === 'promise' ? 'call' : source.kind === 'source' ? 'source' : 'cell';
    const child: Child = { id, localId, key, kind, systemId, ended: false };
    const reportSnapshots = options.syncSnapshot === true;
    const { input } = options;
    adopt(actor, key);
    this.#children = new Map(this.#children).set(key, child);
    this.#moved = true;
    const starting = (this.#starting ??= new Map());
    starting.set(key, child);
    this.#outbox.push(() => {
      if (starting.get(key) !== child) return;
      if (kind === 'cell') this.#turn.spawn({ childId: localId, logic: source.name, input, reportSnapshots });
      else if (kind === 'call') this.#turn.startEffect({ id: localId, source: source.name, input });
      else
        this.#turn.startEffect({
          id: localId,
          source: source.name,
          input: { id, input, reportSnapshots } satisfies SourceInput,
        });
    });
    if (this.#early === undefined) return;
    const due = this.#early.filter(({ childId }) => childId === id);
    this.#early = this.#early.filter(({ childId }) => childId !== id);
    for (const { params } of due) this.#sendTo({ ...params, to: new MachineRef(key, id) });
  }

  // The built-in actions.

  #perform(action: ExecutableAction): void {
    switch (action.type) {
      case 'xstate.raise': {
        const { event, id, delay } = action.params as RaiseParams;
        // Without a delay XState has it in its internal queue.
        if (typeof delay === 'number') this.#setTimer(id, delay, event, undefined);
        return;
      }
      case 'xstate.sendTo':
        return this.#sendTo(action.params as SendToParams);
      case 'xstate.cancel':
        return this.#cancel((action.params as { sendId: string }).sendId);
      case 'xstate.emit': {
        const { event } = action.params as { event: unknown };
        this.#outbox.push(() => this.#turn.emit(event));
        return;
      }
      case 'xstate.log': {
        const { label, value } = action.params as { label?: string; value: unknown };
        return label ? this.#turn.log(label, value) : this.#turn.log(value);
      }
      case 'xstate.spawnChild':
        // `actorMade` has seen to it.
        return;
      case 'xstate.stopChild':
        if (action.params !== undefined) this.#stop(action.params);
        return;
      default:
        return this.#runCustom(action);
    }
  }

  #runCustom(action: ExecutableAction): void {
    if (action.exec === undefined) return;
    if (action.type.startsWith('xstate.')) {
      throw new UnsupportedLogicError(
        `machine "${this.#machine.id}": this library does not know the action ${action.type} yet`,
      );
    }
    const result = action.exec(action.info, action.params) as { then?: unknown } | null | undefined;
    if (typeof result !== 'object' || result === null || typeof result.then !== 'function') return;
    Promise.resolve(result).catch(() => {});
    throw new UnsupportedLogicError(
      `machine "${this.#machine.id}": action ${action.type} returned a promise, whose outcome nothing would keep: ` +
        'put the work into fromPromise or effect() and invoke it',
    );
  }

  #sendTo(params: SendToParams): void {
    const { to, event, id, delay } = params;
    if (typeof to === 'string') {
      (this.#early ??= []).push({ childId: to, params });
      return;
    }
    if (!(to instanceof Reference)) {
      throw new UnsupportedLogicError(
        `machine "${this.#machine.id}": sendTo got something that is no reference for "${event?.type}": ` +
          'send to a child, to self, to system.get(id) or to a reference from context or an event',
      );
    }
    if (typeof delay === 'number') this.#setTimer(id, delay, event, to);
    // XState's escalation: an error from a child, under the child's name.
    else if (event.type === 'xstate.error') {
      const { id: actorId } = this.#self;
      const error = (event as Event & { data?: unknown }).data;
      this.#post(to.key, { type: `xstate.error.actor.${actorId}`, error, actorId } as Event);
    } else this.#post(to.key, event);
  }

  #post(key: CellKey, event: Event): void {
    const child = this.#children.get(key);
    if (child === undefined) {
      this.#outbox.push(() => this.#turn.send(key, event));
      return;
    }
    const isNew = this.#starting?.get(key) === child;
    this.#outbox.push(() => {
      if (isNew && this.#starting?.get(key) !== child) return;
      if (child.kind === 'cell') this.#turn.send(key, event);
      else if (child.kind === 'source' && !child.ended) this.#turn.sendToEffect(child.localId, event);
    });
  }

  #setTimer(given: string | undefined, delayMs: number, event: Event, to: Reference | undefined): void {
    if (Number.isNaN(delayMs)) {
      throw new UnsupportedLogicError(`machine "${this.#machine.id}": the delay of "${event.type}" is not a number`);
    }
    if (delayMs === Number.POSITIVE_INFINITY) return;
    this.#moved = true;
    const id = given ?? `x:${this.#booked++}`;
    const timerId = timerIdFor(this.#timers, id, () => this.#booked++);
    this.#timers = withTimer(this.#timers, timerId, id);
    const payload: TimerPayload = to === undefined || to.key === this.#self.key ? { id, event } : { id, event, to };
    this.#outbox.push(() => this.#turn.setTimer({ id: timerId, delayMs: Math.max(0, delayMs), payload }));
  }

  #cancel(id: string): void {
    const timerId = timerOf(this.#timers, id);
    if (timerId === undefined) return;
    this.#timers = withoutTimer(this.#timers, timerId);
    this.#moved = true;
    this.#outbox.push(() => this.#turn.cancelTimer(timerId));
  }

  #stop(target: unknown): void {
    const key = target instanceof Reference ? target.key : undefined;
    const child = key === undefined ? undefined : this.#children.get(key);
    if (key === undefined || child === undefined) {
      if (key?.startsWith(childKeyOf(this.#self.key, ''))) return;
      throw new Error(
        `Cannot stop child actor ${key ?? String(target)} of ${this.#self.key} because it is not a child`,
      );
    }
    // XState takes a child off its list by id, which a plain reference from a message does not have.
    if (!(target instanceof MachineRef)) (this.#strays ??= new Set()).add(key);
    const children = new Map(this.#children);
    children.delete(key);
    this.#children = children.size === 0 ? NO_CHILDREN : children;
    this.#moved = true;
    if (this.#starting?.get(key) === child) {
      this.#starting.delete(key);
      return;
    }
    if (child.ended) return;
    if (child.kind === 'cell') {
      this.#stopping = new Set(this.#stopping).add(key);
      // Not `turn.stop`, whose signal overtakes messages: what was sent to the child before, it handles before, as in XState.
      this.#outbox.push(() => this.#turn.send(key, { type: XSTATE_STOP }));
    } else {
      this.#outbox.push(() => this.#turn.cancelEffect(child.localId));
    }
  }

  #freeLocalId(id: string): string {
    for (let n = 1; ; n++) {
      const localId = n === 1 ? id : `${id}:${n}`;
      const key = childKeyOf(this.#self.key, localId);
      const before = this.#children.get(key);
      if ((before === undefined || before.ended) && !this.#stopping.has(key)) return localId;
    }
  }

  // The frame of a step.

  #open(
    self: SelfRef,
    children: MachineState['children'],
    stopping: MachineState['stopping'],
    timers: MachineState['timers'],
    booked: number,
    turn: Turn,
  ): void {
    this.#turn = turn;
    this.#self = self;
    this.#children = children;
    this.#stopping = stopping;
    this.#timers = timers;
    this.#booked = booked;
    this.#microsteps = 0;
    this.#moved = false;
    const { scope } = this;
    scope.self = self;
    scope.id = self.id;
    scope.sessionId = self.key;
  }

  #close(before: MachineState | undefined, after: MachineSnapshot): MachineState {
    this.#flush();
    const snapshot = this.#strays === undefined ? after : withoutChildren(after, this.#strays);
    if (snapshot.status === 'done') this.#turn.exit({ kind: 'normal', output: snapshot.output as unknown });
    else if (snapshot.status === 'error') this.#turn.exit({ kind: 'error', error: encodeError(snapshot.error) });
    if (before !== undefined && !this.#moved && snapshot === before.snapshot) return before;
    return {
      snapshot,
      self: this.#self,
      children: this.#children,
      stopping: this.#stopping,
      timers: this.#timers,
      booked: this.#booked,
    };
  }

  #flush(): void {
    for (const leave of this.#outbox) leave();
  }

  #leave(outer: RunningStep | undefined): void {
    enterStep(outer);
    this.#turn = undefined as unknown as Turn;
    if (this.#outbox.length > 0) this.#outbox.length = 0;
    this.#starting = undefined;
    this.#early = undefined;
    this.#strays = undefined;
  }
}
