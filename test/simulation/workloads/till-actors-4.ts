/** The fourth version, which mends the third: it knows all others, the first one through the second. */
import { parcel as secondParcel, till as secondTill } from './till-actors-2.ts';
import { parcel as thirdParcel, till as thirdTill } from './till-actors-3.ts';
import { migrateParcel, migrateTillTo, parcelOf, tillOf } from './till-versions.ts';

export const till = tillOf(import.meta.url, 4, { migrate: migrateTillTo(4), previous: [thirdTill, secondTill] });
export const parcel = parcelOf(import.meta.url, 4, { migrate: migrateParcel, previous: [thirdParcel, secondParcel] });
