/**
 * A run of a workflow as plainly as it can be written: the model that the planner is held against.
 *
 * It shares nothing with the planner but the definition. It knows no queues, no counters, no lists of who waits: after each event it
 * looks at every step again and again until nothing more follows. Conditions are given as answers; there is no bound on parallelism.
 */
import type { StepData, WorkflowData } from '../../../actors/saga/workflow-data.ts';

interface Execution {
  state: 'none' | 'running' | 'backoff' | 'done' | 'failed' | 'given up';
  attempts: number;
  round: number;
  unknown: boolean;
}

interface Step {
  readonly data: StepData;
  state: 'pending' | 'active' | 'completed' | 'skipped' | 'failed' | 'cancelled';
  cascade: boolean;
  /** It was cancelled, and not the run. */
  alone: boolean;
  /** It is being cancelled: what is under way ends. */
  withdrawn: boolean;
  /** Of a promise that was settled before it began: whether it was resolved. */
  early: boolean | undefined;
  readonly runs: Execution[];
  /** Those whose first try has begun. */
  readonly undos: Map<number, Execution>;
}

export interface Answers {
  condition(step: string): boolean;
  items(step: string): number;
}

export class ReferenceRun {
  phase = 'running';
  failure: 'failed' | 'cancelled' | undefined;
  readonly #steps: readonly Step[];
  readonly #data: WorkflowData;
  readonly #answers: Answers;

  constructor(data: WorkflowData, answers: Answers) {
    this.#data = data;
    this.#answers = answers;
    this.#steps = data.steps.map((step) => ({
      data: step,
      state: 'pending',
      cascade: false,
      alone: false,
      withdrawn: false,
      early: undefined,
      runs: [],
      undos: new Map(),
    }));
    this.#look();
  }

  /** What is under way, what waits for another try, what each step is, where the run is. */
  view(): { phase: string; steps: Record<string, string>; running: string[]; waiting: string[]; undone: string[] } {
    const named = (state: Execution['state']): string[] =>
      this.#all()
        .filter(({ execution }) => execution.state === state)
        .map(({ id, execution }) => (state === 'running' ? `${id}/${execution.attempts}` : id))
        .sort();
    return {
      phase: this.phase,
      steps: Object.fromEntries(this.#steps.map(({ data, state }) => [data.id, state])),
      running: named('running'),
      waiting: named('backoff'),
      undone: this.#all()
        .filter(({ id, execution }) => id.endsWith('/undo') && execution.state === 'done')
        .map(({ id }) => id)
        .sort(),
    };
  }

  done(id: string): void {
    const { execution, step, undo } = this.#find(id);
    execution.state = 'done';
    if (!undo) this.#lookAtStep(step);
    this.#look();
  }

  failed(id: string, unknown: boolean, final: boolean): void {
    const { execution, step, undo } = this.#find(id);
    execution.unknown ||= unknown;
    const limit = undo
      ? step.data.compensation?.retry.maxAttempts
      : step.data.work.kind === 'call'
        ? step.data.work.retry.maxAttempts
        : 1;
    const again = !final && execution.attempts - execution.round < (limit ?? 1);
    const othersFailed = step.runs.some((other) => other !== execution && other.state === 'failed');
    const mayTryAgain =
      undo || (this.phase === 'running' && step.state === 'active' && !othersFailed && !step.withdrawn);
    execution.state = again && mayTryAgain ? 'backoff' : 'failed';
    if (!undo && execution.state === 'failed') this.#lookAtStep(step);
    this.#look();
  }

  waited(id: string): void {
    const found = this.#all().find((one) => one.id === id);
    if (found?.execution.state !== 'backoff') return;
    if (!found.undo && this.phase !== 'running') found.execution.state = 'none';
    else this.#try(found.execution);
    this.#look();
  }

  /** The handler of a unit is not heard of any more. */
  silent(unit: string): void {
    const found = this.#all().find(({ id, execution }) => id === unit && execution.state === 'running');
    if (found !== undefined) this.failed(`${unit}/${found.execution.attempts}`, true, false);
  }

  /** Whether the settlement is taken. */
  settled(id: string, isResolved: boolean): boolean {
    const [step] = this.#stepsOf([id]) as [Step];
    const isForward = this.phase === 'running' || this.phase === 'failing' || this.phase === 'stuck step';
    if (!isForward || step.early !== undefined) return false;
    if (step.state === 'pending') step.early = isResolved;
    else if (step.state === 'active') this.#settle(step, isResolved);
    else return false;
    this.#look();
    return true;
  }

  #settle(step: Step, isResolved: boolean): void {
    step.state = isResolved ? 'completed' : 'failed';
    if (!isResolved && step.data.onFailure === 'fail') this.failure ??= 'failed';
  }

  cancelStep(id: string): boolean {
    const [step] = this.#stepsOf([id]) as [Step];
    if (this.phase !== 'running') return false;
    if (step.state === 'completed' || step.state === 'skipped' || step.state === 'failed') return false;
    if (step.state === 'pending') this.#endAlone(step);
    if (step.state === 'active') {
      step.withdrawn = true;
      for (const run of step.runs) if (run.state === 'none' || run.state === 'backoff') run.state = 'given up';
      if (!step.runs.some(({ state }) => state === 'running')) this.#endAlone(step);
    }
    this.#look();
    return true;
  }

  #endAlone(step: Step): void {
    [step.state, step.cascade, step.alone] = ['cancelled', step.data.skipDependents, true];
  }

  cancel(): boolean {
    if (this.phase === 'running' || this.phase === 'stuck step') {
      if (this.#pivots().some(({ state }) => state === 'completed')) return false;
      this.failure = 'cancelled';
      this.phase = 'failing';
      this.#look();
    }
    return true;
  }

  retry(): void {
    if (this.phase === 'stuck compensation') {
      this.phase = 'compensating';
      for (const { execution, undo } of this.#all()) if (undo && execution.state === 'failed') this.#again(execution);
    } else {
      this.phase = 'running';
      this.failure = undefined;
      for (const step of this.#steps) {
        if (step.state !== 'failed' || step.data.onFailure === 'continue') continue;
        step.state = 'active';
        for (const run of step.runs) if (run.state === 'failed' || run.state === 'given up') this.#again(run);
      }
    }
    this.#look();
  }

  #again(execution: Execution): void {
    execution.round = execution.attempts;
    this.#try(execution);
  }

  #try(execution: Execution): void {
    execution.state = 'running';
    execution.attempts++;
  }

  #all(): { id: string; step: Step; execution: Execution; undo: boolean }[] {
    return this.#steps.flatMap((step) => {
      const name = (index: number): string =>
        step.data.forEach === undefined ? step.data.id : `${step.data.id}#${index}`;
      return [
        ...step.runs.map((execution, index) => ({ id: name(index), step, execution, undo: false })),
        ...[...step.undos].map(([index, execution]) => ({ id: `${name(index)}/undo`, step, execution, undo: true })),
      ];
    });
  }

  #find(command: string) {
    const found = this.#all().find(
      ({ id, execution }) => command === `${id}/${execution.attempts}` && execution.state === 'running',
    );
    if (found === undefined) throw new Error(`the reference knows no ${command}`);
    return found;
  }

  #pivots(): Step[] {
    return this.#steps.filter(({ data }) => data.pivot);
  }

  /** What an ended unit means for its step. */
  #lookAtStep(step: Step): void {
    if (step.state !== 'active') return;
    const { runs, data } = step;
    const isWhole = runs.length === this.#units(step) && runs.every(({ state }) => state === 'done');
    if (step.withdrawn && !isWhole) {
      if (!runs.some(({ state }) => state === 'running')) this.#endAlone(step);
      return;
    }
    if (runs.some(({ state }) => state === 'failed')) {
      if (data.onFailure === 'continue') {
        for (const run of runs) if (run.state === 'none' || run.state === 'backoff') run.state = 'given up';
        if (runs.some(({ state }) => state === 'running')) return;
      }
      step.state = 'failed';
      if (data.onFailure === 'fail') this.failure ??= 'failed';
    } else if (isWhole) step.state = 'completed';
    else if (runs.length < this.#units(step)) runs.push({ state: 'none', attempts: 0, round: 0, unknown: false });
  }

  #units(step: Step): number {
    return step.data.forEach === undefined ? 1 : this.#answers.items(step.data.id);
  }

  #isOver(id: string): boolean {
    const step = this.#steps.find(({ data }) => data.id === id) as Step;
    return (
      step.state === 'completed' ||
      step.state === 'skipped' ||
      step.alone ||
      (step.state === 'failed' && step.data.onFailure === 'continue')
    );
  }

  /** Everything that follows, until nothing does. */
  #look(): void {
    for (let moved = true; moved; ) moved = this.#skips() || this.#starts() || this.#turns() || this.#undoes();
  }

  #stepsOf(ids: readonly string[]): Step[] {
    return ids.map((id) => this.#steps.find(({ data }) => data.id === id) as Step);
  }

  /** Skipping happens whatever the run is doing. */
  #skips(): boolean {
    for (const step of this.#steps) {
      if (step.state !== 'pending') continue;
      const needed = this.#stepsOf(step.data.dependencies);
      const isCascade = needed.some(({ state, cascade, alone }) => (state === 'skipped' || alone) && cascade);
      if (step.data.join === 'all') {
        if (!isCascade) continue;
        [step.state, step.cascade] = ['skipped', true];
        return true;
      }
      const completed = needed.filter(({ state }) => state === 'completed').length;
      if (completed >= step.data.join || !needed.every(({ data }) => this.#isOver(data.id))) continue;
      [step.state, step.cascade] = ['skipped', isCascade || step.data.skipDependents];
      return true;
    }
    return false;
  }

  #starts(): boolean {
    if (this.phase !== 'running' || this.failure !== undefined) return false;
    for (const step of this.#steps) {
      const { data } = step;
      if (step.state === 'active') {
        const waiting = step.runs.findIndex(({ state }) => state === 'none');
        if (waiting === -1) continue;
        this.#try(step.runs[waiting] as Execution);
        if (data.compensation !== undefined)
          step.undos.set(waiting, { state: 'none', attempts: 0, round: 0, unknown: false });
        return true;
      }
      if (step.state !== 'pending') continue;
      const needed = this.#stepsOf(data.dependencies);
      const isReady =
        data.join === 'all'
          ? needed.every((one) => this.#isOver(one.data.id))
          : needed.filter(({ state }) => state === 'completed').length >= data.join;
      if (!isReady) continue;
      if (data.condition !== undefined && !this.#answers.condition(data.id)) {
        [step.state, step.cascade] = ['skipped', data.skipDependents];
        return true;
      }
      step.state = 'active';
      if (data.work.kind === 'promise') {
        if (step.early !== undefined) this.#settle(step, step.early);
        step.early = undefined;
        return true;
      }
      const first = Math.min(this.#units(step), data.forEach?.concurrency ?? 1);
      for (let i = 0; i < first; i++) step.runs.push({ state: 'none', attempts: 0, round: 0, unknown: false });
      if (first === 0) step.state = 'completed';
      return true;
    }
    const isEnd = ({ state, alone }: Step): boolean =>
      state === 'completed' || state === 'skipped' || state === 'failed' || alone;
    if (this.#steps.every(isEnd)) {
      this.phase = 'completed';
      return true;
    }
    return false;
  }

  /** Where a run goes that has failed or is cancelled. */
  #turns(): boolean {
    if (this.failure === undefined) return false;
    const isUnderWay = this.#all().some(({ execution, undo }) => !undo && execution.state === 'running');
    if (this.phase === 'running' || this.phase === 'failing') {
      const isPast = this.#pivots().some(({ state }) => state === 'completed');
      if (this.failure === 'failed' && (isPast || this.#data.onFailure === 'park')) this.phase = 'stuck step';
      else if (isPast) {
        const hasFailed = this.#steps.some(({ data, state }) => state === 'failed' && data.onFailure === 'fail');
        this.failure = hasFailed ? 'failed' : undefined;
        this.phase = hasFailed ? 'stuck step' : 'running';
      } else if (this.#pivots().some(({ runs }) => runs.some(({ state }) => state === 'running'))) {
        if (this.phase === 'failing') return false;
        this.phase = 'failing';
      } else {
        for (const step of this.#steps) {
          for (const run of step.runs) if (run.state === 'none' || run.state === 'backoff') run.state = 'given up';
          if (step.state === 'active' && !step.runs.some(({ state }) => state === 'running')) step.state = 'cancelled';
        }
        this.phase = 'doomed';
      }
      return true;
    }
    if (this.phase !== 'doomed' || isUnderWay) return false;
    for (const step of this.#steps) if (step.state === 'active') step.state = 'cancelled';
    this.phase = 'compensating';
    return true;
  }

  #undoes(): boolean {
    if (this.phase !== 'compensating') return false;
    let isOver = true;
    let hasFailed = false;
    for (const step of this.#steps) {
      for (const [index, undo] of step.undos) {
        const run = step.runs[index] as Execution;
        if (undo.state === 'done' || (run.state !== 'done' && !run.unknown)) continue;
        if (undo.state === 'failed') hasFailed = true;
        else isOver = false;
        if (undo.state !== 'none' || this.#isBlocked(step)) continue;
        this.#try(undo);
        return true;
      }
    }
    // What waits for a failed one will never come by itself.
    const isMoving = this.#all().some(
      ({ execution, undo }) => undo && (execution.state === 'running' || execution.state === 'backoff'),
    );
    if (isMoving || (!isOver && !hasFailed)) return false;
    this.phase = hasFailed ? 'stuck compensation' : (this.failure as string);
    return true;
  }

  /** Whether something that depends on it, near or far, is still to be undone. */
  #isBlocked(step: Step): boolean {
    return this.#steps
      .filter(({ data }) => data.dependencies.includes(step.data.id))
      .some(
        (after) =>
          [...after.undos].some(([index, undo]) => {
            const run = after.runs[index] as Execution;
            return undo.state !== 'done' && (run.state === 'done' || run.unknown);
          }) || this.#isBlocked(after),
      );
  }
}
