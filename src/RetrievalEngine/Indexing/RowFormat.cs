using System;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>The bytes of rows under a storage and a metric: float32 numbers to what is kept, and back.</summary>
internal static class RowFormat
{
    private const float LargestCode = 127;

    /// <summary>The type of the kept elements; packed bits are bytes.</summary>
    public static DType TypeOf(VectorStorage storage) => storage switch
    {
        VectorStorage.Float32 => DType.F32,
        VectorStorage.Float16 => DType.F16,
        VectorStorage.BFloat16 => DType.BF16,
        _ => DType.I8,
    };

    /// <summary>Elements of <see cref="TypeOf"/> that a row of <paramref name="dimensions"/> takes.</summary>
    public static int Width(VectorStorage storage, int dimensions) => storage == VectorStorage.Binary ? (dimensions + 7) / 8 : dimensions;

    /// <summary>Bytes of a row.</summary>
    public static int RowBytes(VectorStorage storage, int dimensions) => Width(storage, dimensions) * TypeOf(storage).Size();

    /// <summary>Whether each row has a scale.</summary>
    public static bool HasScales(VectorStorage storage) => storage is VectorStorage.Int8 or VectorStorage.Binary;

    /// <summary>
    /// Encodes <paramref name="rows"/>, which it may scale in place. <paramref name="scales"/> and <paramref name="norms"/> have an element for each row, or
    /// none where the format has none. Gives what is wrong with the first row that cannot be kept, and its number; null where all can.
    /// </summary>
    public static (int Row, string What)? Encode(IndexManifest format, Span<float> rows, Span<byte> stored, Span<float> scales, Span<float> norms)
    {
        int dimensions = format.Dimensions, rowBytes = RowBytes(format.Storage, dimensions);
        for (int i = 0; i * dimensions < rows.Length; i++)
        {
            Span<float> row = rows.Slice(i * dimensions, dimensions);
            Span<byte> to = stored.Slice(i * rowBytes, rowBytes);
            if (!FloatBytes.AreFinite(MemoryMarshal.AsBytes(row), DType.F32)) return (i, $"element {FirstNotFinite(row)} is not a finite number");
            bool unit = format.Metric == Metric.Cosine;
            if (unit && !format.ComesNormalized) UnitLength.Scale(row);
            float scale = 1;
            switch (format.Storage)
            {
                case VectorStorage.Int8:
                    scale = EncodeInt8(row, MemoryMarshal.Cast<byte, sbyte>(to), unit);
                    break;
                case VectorStorage.Binary:
                    scale = EncodeBinary(row, to, unit);
                    break;
                default:
                    DType dtype = TypeOf(format.Storage);
                    FloatBytes.Narrow(row, dtype, to);
                    if (!FloatBytes.AreFinite(to, dtype)) return (i, $"a number is too large for {IndexManifest.StorageName(format.Storage)}");
                    break;
            }

            if (!scales.IsEmpty) scales[i] = scale;
            if (norms.IsEmpty) continue;
            Decode(format.Storage, to, scale, row);
            norms[i] = (float)UnitLength.SquaredNorm(row);
            if (!float.IsFinite(norms[i])) return (i, "its length is too large for distances in float32");
        }

        return null;
    }

    /// <summary>The numbers that a row of kept bytes stands for.</summary>
    public static void Decode(VectorStorage storage, ReadOnlySpan<byte> stored, float scale, Span<float> row)
    {
        switch (storage)
        {
            case VectorStorage.Int8:
                for (int i = 0; i < row.Length; i++) row[i] = scale * (sbyte)stored[i];
                break;
            case VectorStorage.Binary:
                for (int i = 0; i < row.Length; i++) row[i] = (stored[i >> 3] >> (i & 7) & 1) != 0 ? scale : -scale;
                break;
            default:
                FloatBytes.Widen(stored, TypeOf(storage), row);
                break;
        }
    }

    /// <summary>codes = round(x / scale) with scale = absmax / 127; for cosines the scale that gives the codes length 1.</summary>
    private static float EncodeInt8(ReadOnlySpan<float> row, Span<sbyte> codes, bool unit)
    {
        float scale = TensorPrimitives.MaxMagnitude(row) is var most && most < 0 ? -most / LargestCode : most / LargestCode;
        codes.Clear();
        if (scale == 0) return 0;
        double squares = 0;
        for (int i = 0; i < row.Length; i++)
        {
            codes[i] = (sbyte)Math.Clamp(MathF.Round(row[i] / scale), -LargestCode, LargestCode);
            squares += codes[i] * codes[i];
        }

        return unit ? (float)(1 / Math.Sqrt(squares)) : scale;
    }

    /// <summary>Bits = signs; the scale is the mean magnitude, which is the best for them; for cosines the one that gives length 1.</summary>
    private static float EncodeBinary(ReadOnlySpan<float> row, Span<byte> bits, bool unit)
    {
        double magnitudes = 0;
        bits.Clear();
        for (int i = 0; i < row.Length; i++)
        {
            magnitudes += Math.Abs(row[i]);
            if (row[i] >= 0) bits[i >> 3] |= (byte)(1 << (i & 7));
        }

        if (magnitudes == 0) return 0;
        return (float)(unit ? 1 / Math.Sqrt(row.Length) : magnitudes / row.Length);
    }

    private static int FirstNotFinite(ReadOnlySpan<float> row)
    {
        int i = 0;
        while (float.IsFinite(row[i])) i++;
        return i;
    }
}
