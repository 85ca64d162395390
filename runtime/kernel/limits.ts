/**
 * Every bound of the runtime, with its unit and its reason. Nothing here is unbounded, and nothing elsewhere hides a bound.
 * Those that a user may change are defaults of options of the same name.
 */

/** A definition's name is part of every key; LMDB keys are at most 1,978 bytes. */
export const DEFINITION_NAME_LENGTH_LIMIT = 128;
/** UTF-8 needs up to 3 bytes a UTF-16 unit: 128 + 1 + 3 x 512 stays below LMDB's 1,978. */
export const CELL_ID_LENGTH_LIMIT = 512;

/** A definition's version: 32 bits in each turn's header. A date, as 20261122, fits. */
export const VERSION_LIMIT = 0xffff_ffff;

/** One message, encoded. A larger value belongs in a store of its own, with its address in the message. */
export const MESSAGE_BYTES_LIMIT = 1 << 20;
/** Nesting of a message. msgpackr's recursion overflows near 5,000; nobody's data is 128 deep on purpose. */
export const MESSAGE_DEPTH_LIMIT = 128;
/** A frame between threads: big enough to carry the largest message with its envelope. */
export const FRAME_BYTES_LIMIT = 16 << 20;

/** Messages that wait in one cell's mailbox before its senders must wait. */
export const MAILBOX_LIMIT = 10_000;
/** How many times over its limit a mailbox (of `MAILBOX_LIMIT` at least) or a link may be filled by actors that wait in a circle. */
export const OVERFLOW_FACTOR = 4;
/** How soon actors that begin to wait are looked at for a circle. Two looks must see it. */
export const STANDSTILL_LOOK_MS = 50;
/** How often at least, while they go on waiting and nothing is new. */
export const STANDSTILL_LOOK_MS_LIMIT = 2_000;
/** Bytes in flight on one link before the sender must wait for the receiver. */
export const LINK_CREDIT_BYTES = 4 << 20;
/** Size that a link aims at for a frame while it has more to send: beyond it, packing more at once gains nothing. */
export const LINK_FRAME_BYTES = 256 << 10;
/** Items of one frame: what a link may pack before it looks at the frame's size. */
export const LINK_FRAME_ITEMS = 1_024;
/** How long a receiver waits for a frame of its own to tell the sender what it has accepted. */
export const LINK_ACCEPT_DELAY_MS = 2;
/** Messages that one cell handles before the next cell's turn comes. */
export const CELL_SLICE_TURNS = 256;
/** How long a host works through its mailboxes before it flushes and looks at its ports again. */
export const HOST_SLICE_MS = 5;
/** Turns that a host puts into one batch before it flushes it within a slice. */
export const BATCH_TURNS_LIMIT = 2_048;
/** Batches of one host that may be on their way to the disk; beyond it the host stops stepping durable cells. */
export const BATCHES_IN_FLIGHT_LIMIT = 64;

/** Idle time after which a durable cell is unloaded. */
export const PASSIVATE_AFTER_MS = 60_000;
/** Cells in memory per host; beyond it the longest idle ones are unloaded. */
export const RESIDENT_CELLS_LIMIT = 100_000;
/** Turns after which a cell that has not been idle stores its state again. */
export const SNAPSHOT_EVERY_TURNS = 1_000;
/** Turns in the journal behind the end before a checkpoint is made: bounds what a restart has to read. */
export const CHECKPOINT_EVERY_TURNS = 500_000;
/** The same bound in bytes. */
export const CHECKPOINT_EVERY_BYTES = 128 << 20;

/** Idempotency keys that one actor remembers, with their replies. */
export const IDEMPOTENCY_KEYS_LIMIT = 1_000;
/** Longest idempotency key. */
export const IDEMPOTENCY_KEY_LENGTH_LIMIT = 256;
/** How often a failing message is tried before it is parked. */
export const FAILURE_ATTEMPTS = 3;
/** Messages that one cell may keep in its stash. */
export const STASH_LIMIT = 1_000;

/** Deadline of an ask without one of its own. */
export const ASK_TIMEOUT_MS = 5_000;
/** Deadline of a tell without one of its own. */
export const TELL_TIMEOUT_MS = 30_000;
/** Deadline of a call on the control plane. */
export const CONTROL_TIMEOUT_MS = 10_000;
/** Of the one that loads modules: on a machine that has other things to do, to read and compile them takes a while. */
export const LOAD_TIMEOUT_MS = 60_000;
/** How long a host has to finish its work on shutdown. */
export const DRAIN_TIMEOUT_MS = 10_000;
/** A host whose event loop has not turned for this long is taken for hung. */
export const HANG_AFTER_MS = 10_000;
/** setTimeout takes a signed 32-bit number; a longer wait is made of several (XState fires it at once). */
export const TIMER_CHUNK_MS = 0x7fff_ffff;

/** A subject or pattern, in characters. UTF-8 needs up to 3 bytes for each: with a prefix of ours it stays below LMDB's key of 1,978. */
export const SUBJECT_LENGTH_LIMIT = 512;
/** Tokens of a subject: NATS advises 16. A match may walk two ways at each token, so that patterns bound it, but this bounds them. */
export const SUBJECT_TOKENS_LIMIT = 32;
/** Subjects whose subscribers are remembered. */
export const SUBJECT_CACHE_SUBJECTS = 4_096;
/** A longer list of subscribers is not remembered: 4,096 of 256 are 8 MiB. */
export const SUBJECT_CACHE_VALUES = 256;

/** The type of a message: the longest subject has no room for a longer one. */
export const MESSAGE_TYPE_LENGTH_LIMIT = 256;
/** Faults that are told of one payload; it may have as many as it has values. */
export const CONTRACT_FAULTS_LIMIT = 32;
/** Values in a payload beyond which only its first fault is looked for: a million faults would take a hundred megabytes. */
export const CONTRACT_ALL_FAULTS_VALUES = 10_000;
/** Differences that are told of two schemas. */
export const SCHEMA_DIFFERENCES_LIMIT = 32;
/** Steps of a comparison of two schemas; each is a few microseconds. Alternatives within alternatives multiply. */
export const SCHEMA_STEPS_LIMIT = 20_000;
/** Comparisons of two schemas within each other: references that lead from one to the next would fill the stack. */
export const SCHEMA_NESTING_LIMIT = 200;

/** An actor that was woken before its definition is loaded is not told of for so long: parts that bring their own load it when they start. */
export const DEFINITION_GRACE_MS = 5_000;

/** Attributes of a CloudEvent: the specification has 8, and asks for few extensions. */
export const CLOUD_EVENT_ATTRIBUTES_LIMIT = 128;
/** A cron expression: every minute of an hour listed is 170 characters. */
export const SCHEDULE_LENGTH_LIMIT = 512;
