const EPOCH = 946_684_800_000 // ms from 1970 to 2000, where PostgreSQL's timestamps begin

/** Reads a message of the replication protocol from its first byte to its last. Throws a RangeError where it is too short. */
export class Reader {
    private at = 0

    constructor(private readonly bytes: Buffer) {}

    char(): string {
        return String.fromCharCode(this.byte())
    }

    byte(): number {
        return this.bytes.readUInt8(this.at++)
    }

    int16(): number {
        return this.bytes.readInt16BE((this.at += 2) - 2)
    }

    int32(): number {
        return this.bytes.readInt32BE((this.at += 4) - 4)
    }

    /** An xid or an oid. */
    uint32(): number {
        return this.bytes.readUInt32BE((this.at += 4) - 4)
    }

    /** An LSN. */
    uint64(): bigint {
        return this.bytes.readBigUInt64BE((this.at += 8) - 8)
    }

    /** To the microsecond, as the server has it. */
    time(): string {
        const micros = this.bytes.readBigInt64BE((this.at += 8) - 8)
        const millis = micros / 1000n
        const rest = String(micros % 1000n).padStart(3, '0')
        return new Date(Number(millis) + EPOCH).toISOString().replace('Z', `${rest}Z`)
    }

    /** Up to a zero byte. */
    word(): string {
        const end = this.bytes.indexOf(0, this.at)
        if (end < 0) throw new RangeError('a text of the replication stream has no end')
        const text = this.bytes.toString('utf8', this.at, end)
        this.at = end + 1
        return text
    }

    text(length: number): string {
        const end = this.at + length
        if (end > this.bytes.length) throw new RangeError('a value of the replication stream is cut off')
        const text = this.bytes.toString('utf8', this.at, end)
        this.at = end
        return text
    }

    rest(): Buffer {
        return this.bytes.subarray(this.at)
    }
}

/** What goes back to the server: how far everything has been received, and how far it need not be kept. */
export function standbyStatus(received: bigint, confirmed: bigint): Buffer {
    const message = Buffer.alloc(34)
    message.write('r')
    message.writeBigUInt64BE(received, 1)
    message.writeBigUInt64BE(confirmed, 9)
    message.writeBigUInt64BE(confirmed, 17)
    message.writeBigInt64BE(BigInt(Date.now() - EPOCH) * 1000n, 25)
    return message
}

export const lsnText = (lsn: bigint): string => `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
