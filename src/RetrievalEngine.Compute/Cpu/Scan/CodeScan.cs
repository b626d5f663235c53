using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RetrievalEngine.Compute.Cpu.Scan;

/// <summary>
/// Inner products of rows of signed bytes with queries of <see cref="FixedPoint"/>, in integers: two products of 16 bits and their sum are one instruction of
/// a lane, twice what float32 does, and the order of the sum is free.
/// </summary>
internal static unsafe class CodeScan
{
    // What a tile needs of so many elements stays in the level 1 cache.
    private const int Step = DotKernel.Step, TileRows = 4, MostElements = 2048;
    private const long Ahead = 6144;

    /// <summary>Whether the machine has the instructions.</summary>
    public static bool IsSupported => Avx512BW.IsSupported;

    /// <summary>Elements of each chunk of a product of several queries but the last one: whole steps.</summary>
    public static long Chunk(long d) => DotKernel.Chunk(d, MostElements);

    /// <summary>
    /// Copies a query of <see cref="FixedPoint"/> in <paramref name="unit"/>, with zeros up to a whole step; its chunks of <paramref name="chunk"/> elements are
    /// <paramref name="chunkStride"/> apart.
    /// </summary>
    public static void Prepare(float* query, float unit, long d, short* prepared, long chunk, long chunkStride)
    {
        float scale = 1 / unit;
        for (long at = 0; at < d; at += chunk, prepared += chunkStride)
        {
            for (long i = 0; i < DotKernel.Prepared(Math.Min(chunk, d - at)); i++) prepared[i] = at + i < d ? (short)(query[at + i] * scale) : (short)0;
        }
    }

    /// <summary>A row as 16 bits, with zeros up to a whole step.</summary>
    public static void Widen(sbyte* row, long d, short* widened)
    {
        long i = 0;
        for (; i <= d - Step; i += Step) Avx512BW.ConvertToVector512Int16(Vector256.Load(row + i)).Store(widened + i);
        for (; i < DotKernel.Prepared(d); i++) widened[i] = i < d ? row[i] : (short)0;
    }

    /// <summary>sums [count] of one query; rows are <paramref name="stride"/> bytes apart and come from memory, one behind the other.</summary>
    [SkipLocalsInit]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(sbyte* rows, long stride, int count, short* query, long d, int* sums)
    {
        short* rest = stackalloc short[Step];
        long whole = d / (2 * Step) * (2 * Step);
        Vector512<int>* lanes = stackalloc Vector512<int>[TileRows];
        for (int first = 0; first < count; first += TileRows)
        {
            int present = Math.Min(TileRows, count - first);
            for (int i = 0; i < TileRows; i++)
            {
                sbyte* row = rows + (first + Math.Min(i, present - 1)) * stride;
                Vector512<int> even = default, odd = default;
                for (long p = 0; p < whole; p += 2 * Step)
                {
                    even += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(row + p)), Vector512.Load(query + p));
                    odd += Avx512BW.MultiplyAddAdjacent(Avx512BW.ConvertToVector512Int16(Vector256.Load(row + p + Step)), Vector512.Load(query + p + Step));
                    Sse.Prefetch1(row + p + Ahead);
                }

                // No call here: it would cost the sums their registers.
                for (long p = whole; p < d; p += Step)
                {
                    for (int at = 0; at < Step; at++) rest[at] = p + at < d ? row[p + at] : (short)0;
                    even += Avx512BW.MultiplyAddAdjacent(Vector512.Load(rest), Vector512.Load(query + p));
                }

                lanes[i] = even + odd;
            }

            Store(lanes[0], lanes[1], lanes[2], lanes[3], present, sums + first, isFirst: true);
        }
    }

    /// <summary>Adds up the lanes of four sums and stores those of rows that are there, or adds them to what is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> e, int rows, int* sums, bool isFirst)
    {
        Vector512<long> ab = (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsInt64(), ce = (Avx512F.UnpackLow(c, e) + Avx512F.UnpackHigh(c, e)).AsInt64();
        Vector512<int> all = Avx512F.UnpackLow(ab, ce).AsInt32() + Avx512F.UnpackHigh(ab, ce).AsInt32();
        Vector256<int> half = all.GetLower() + all.GetUpper();
        Vector128<int> four = half.GetLower() + half.GetUpper();
        if (rows == 4) (isFirst ? four : Vector128.Load(sums) + four).Store(sums);
        else for (int i = 0; i < rows; i++) sums[i] = isFirst ? four[i] : sums[i] + four[i];
    }
}
