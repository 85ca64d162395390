/**
 * Where things are in the bytes of a batch. The builder writes by this table, the reader reads by it.
 *
 * Owns: offsets, sizes and flags. Little-endian throughout.
 *
 *   prelude   68 bytes   counts, sizes and sums
 *   keys                 every cell named in the batch, once: how many turns and durable sends of the batch are its own
 *   headers   52 a turn  what recovery and history need to know without reading a body
 *   sends      8 each    durable sends: receiver, place among the turn's sends, lane
 *   bodies               one msgpack value a turn
 *   ---- the log row ends here; what follows goes into tables of its own
 *   images               key, row
 *   letters              id, row
 *
 * Invariants:
 * L1. Every byte of the log row is under a sum: prelude and keys under the prelude's, each turn (header, sends, body) under its
 *     own. The sum of all headers and sends spares a reader that wants no bodies from reading them.
 * L2. The keys' counts name the owner of a turn whose header cannot be read any more.
 * L3. A row says its own position: one that stands under another key, or in another row's place, shows.
 * L4. A batch of a layout that this version does not know is refused by name.
 * L5. A turn's sum begins with its batch and its place in it (`turnSeed`): bytes of a turn that stand in another batch, or in
 *     another place, are not taken for a turn there, whatever its cells have for numbers.
 */

/** "CBJ" and the layout's number. */
export const BATCH_MAGIC = 0x03_4a_42_43;
/** Goes up when a reader of the old layout would misread the new one. */
export const FORMAT_VERSION = 3;

export const PRELUDE_BYTES = 68;
export const P_MAGIC = 0;
/** Sum of the rest of the prelude and of the keys. */
export const P_SUM = 4;
export const P_SLOT = 8;
export const P_EPOCH = 12;
export const P_RUN = 16;
/** Of the batches of this slot, epoch and run: no two batches have all four the same. */
export const P_NUMBER = 20;
export const P_TURNS = 24;
export const P_KEYS = 28;
export const P_SENDS = 32;
export const P_KEYS_BYTES = 36;
export const P_BODIES_BYTES = 40;
/** Sum of headers and sends. */
export const P_TABLE_SUM = 44;
/** Sum of the position at which the row stands, put in at commit; zero, and counted as zero, in the prelude's own sum. */
export const P_SEAT = 48;
export const P_IMAGES = 52;
export const P_IMAGES_BYTES = 56;
export const P_LETTERS = 60;
export const P_LETTERS_BYTES = 64;

export const HEADER_BYTES = 52;
/** Sum of the rest of the header, of the turn's sends and of its body, from `turnSeed` on. */
export const H_SUM = 0;
export const H_KEY = 4;
export const H_BODY_START = 8;
export const H_BODY_BYTES = 12;
/** Low 32 bits; the next 16 are at `H_SEQUENCE_HIGH`. */
export const H_SEQUENCE_LOW = 16;
export const H_SEQUENCE_HIGH = 20;
export const H_FLAGS = 22;
export const H_SENDS_START = 24;
export const H_SENDS = 28;
export const H_STREAM = 32;
export const H_INDEX = 36;
export const H_POSITION = 40;
/** Version of the definition that made the turn. */
export const H_VERSION = 48;

export const FLAG_OBLIGED = 1;
export const FLAG_PARKED = 2;
export const FLAG_REFUSED = 4;
export const FLAG_HAS_ID = 8;
export const FLAG_SIGNAL_LANE = 16;
/** The turn answers calls from outside. */
export const FLAG_ANSWERS = 32;

export const SEND_BYTES = 8;
export const S_KEY = 0;
/** Place among all sends of the turn, shifted by one; the lowest bit is set for the signal lane. */
export const S_INDEX_AND_LANE = 4;

/** Longest key in UTF-8: LMDB takes 1,978 bytes, and eight go to the time in the table of wakes. */
export const KEY_BYTES_LIMIT = 1_960;
