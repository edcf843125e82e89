package millrace.nexmark;

import java.io.Serializable;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.List;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.types.logical.DecimalType;
import org.apache.flink.table.types.logical.LogicalType;

/** The hash of a row's every byte, as our blackhole sums it (kernels/assembly/hash.ts). */
final class RowHash implements Serializable {
  private static final long serialVersionUID = 1;
  private static final long SEED = 0x6d696c6c72616365L;
  private static final long AGAIN = 0x9e3779b97f4a7c15L;
  private static final long NULL_TAG = 0x9ae16a3b2f90404fL;
  private static final long K1 = 0xa0761d6478bd642fL;
  private static final long K2 = 0xe7037ed1a0b428dbL;
  private static final long K3 = 0x8ebc6af09c88c6e3L;
  private static final int INLINE_BYTES = 12;
  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final List<LogicalType> types;

  RowHash(List<LogicalType> types) {
    this.types = types;
  }

  long of(RowData row) {
    long hash = 0;
    for (int i = 0; i < types.size(); i++) {
      long raw = row.isNullAt(i) ? NULL_TAG : raw(row, i, types.get(i));
      hash = mix(i == 0 ? raw ^ SEED : Long.rotateLeft(hash, 5) * AGAIN ^ raw);
    }
    return hash;
  }

  private static long raw(RowData row, int i, LogicalType type) {
    return switch (type.getTypeRoot()) {
      case INTEGER -> row.getInt(i);
      case BIGINT -> row.getLong(i);
      case TIMESTAMP_WITHOUT_TIME_ZONE -> row.getTimestamp(i, 3).getMillisecond();
      case DECIMAL -> {
        DecimalType decimal = (DecimalType) type;
        yield row.getDecimal(i, decimal.getPrecision(), decimal.getScale()).toBigDecimal().unscaledValue().longValue();
      }
      case CHAR, VARCHAR -> text(row.getString(i).toBytes());
      default -> throw new IllegalArgumentException("no hash of " + type);
    };
  }

  static long text(byte[] bytes) {
    int length = bytes.length;
    if (length <= INLINE_BYTES) {
      byte[] padded = new byte[16];
      System.arraycopy(bytes, 0, padded, 0, length);
      long x = (at(padded, 0) ^ K1) * K2;
      x = ((x ^ x >>> 32) + (at(padded, 8) | (long) length << 32)) * K3;
      return x ^ x >>> 29;
    }
    long last = at(bytes, length - 8);
    long a = K1 ^ length * K3;
    long b = K2;
    int i = 0;
    for (; i + 16 <= length; i += 16) {
      a = Long.rotateLeft((a ^ at(bytes, i)) * K2, 27);
      b = Long.rotateLeft((b ^ at(bytes, i + 8)) * K3, 31);
    }
    if (i + 8 < length) a = Long.rotateLeft((a ^ at(bytes, i)) * K2, 27);
    b = (b ^ last) * K1;
    long x = (a ^ b >>> 29 ^ b) * K3;
    return x ^ x >>> 32;
  }

  private static long at(byte[] bytes, int i) {
    return (long) LONGS.get(bytes, i);
  }

  private static long mix(long x) {
    x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
    x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
    return x ^ x >>> 31;
  }
}
