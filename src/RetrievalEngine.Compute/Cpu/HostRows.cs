using System;
using System.Buffers;
using System.Threading.Tasks;
using RetrievalEngine.Compute.Cpu.Scan;

namespace RetrievalEngine.Compute.Cpu;

/// <summary>Scores of single rows that lie in host memory, whatever backend searches.</summary>
public static unsafe class HostRows
{
    private const int RowsPerTask = 64;

    /// <summary>
    /// Scores of rows by number for <paramref name="queries"/> [Q, <paramref name="dimensions"/>]: <paramref name="indices"/> [Q, C] count from
    /// <paramref name="firstRow"/>; elements of <paramref name="scores"/> [Q, C] whose number is none of <paramref name="rows"/> [N, dimensions] stay as they
    /// are. Inner products have the bits of <see cref="IBackend.ScoreTopK"/> on a CPU; with <paramref name="distance"/> minus the squared distance, summed in
    /// double and rounded once. <paramref name="rowScales"/> [N] or none.
    /// </summary>
    /// <exception cref="ArgumentException">Shapes or types do not fit.</exception>
    public static void Score(float[] queries, int dimensions, Tensor rows, Tensor rowScales, long firstRow, long[] indices, float[] scores, bool distance)
    {
        ArgumentNullException.ThrowIfNull(queries);
        ArgumentNullException.ThrowIfNull(indices);
        ArgumentNullException.ThrowIfNull(scores);
        long n = rows.IsEmpty ? 0 : rows.Shape[0], d = dimensions, q = queries.Length / d;
        if (queries.Length != q * d || indices.Length != scores.Length || (q > 0 && indices.Length % q != 0) || (n > 0 && rows.Shape[1] != d)
            || !(rowScales.IsEmpty || rowScales.Count == n))
            throw new ArgumentException($"{queries.Length} numbers of queries, rows {rows} with scales {rowScales} and {scores.Length} scores do not fit");
        if (q == 0 || n == 0 || indices.Length == 0) return;
        long width = DotKernel.Prepared(d), c = indices.Length / q, tasks = (c + RowsPerTask - 1) / RowsPerTask;
        byte* data = ((CpuMemory)rows.Memory!).Pointer + rows.Offset;
        float* scales = rowScales.IsEmpty ? null : (float*)(((CpuMemory)rowScales.Memory!).Pointer + rowScales.Offset);
        DType dtype = rows.DType;
        // float32 queries of whole steps are what a scan would make of them.
        bool isReady = dtype == DType.F32 && width == d;
        using MemoryHandle pinned = queries.AsMemory().Pin();
        long copied = isReady ? 0 : q * width;
        using CpuMemory copies = new((copied + q) * sizeof(float));
        float* query = (float*)pinned.Pointer, prepared = isReady ? query : (float*)copies.Pointer, units = (float*)copies.Pointer + copied;
        if (!distance) Parallel.For(0, q, i => units[i] = isReady ? 1 : DotKernel.Prepare(dtype, query + i * d, d, prepared + i * width, DotKernel.Chunk(d)));
        Parallel.For(0, q * tasks, task =>
        {
            long of = task / tasks, from = of * c + task % tasks * RowsPerTask, to = Math.Min(from + RowsPerTask, (of + 1) * c);
            long stride = d * dtype.Size();
            long* places = stackalloc long[RowsPerTask];
            int count = 0;
            for (long i = from; i < to; i++)
            {
                if (indices[i] >= firstRow && indices[i] - firstRow < n) places[count++] = i;
            }

            byte** row = stackalloc byte*[2 * GatherScan.Rows];
            float* products = stackalloc float[GatherScan.Rows];
            for (int first = 0; first < count; first += GatherScan.Rows)
            {
                int together = Math.Min(GatherScan.Rows, count - first);
                for (int i = 0; i < 2 * GatherScan.Rows; i++) row[i] = data + (indices[places[Math.Min(first + i, count - 1)]] - firstRow) * stride;
                if (!distance) Multiply(dtype, row, together, prepared + of * width, d, products);
                for (int i = 0; i < together; i++)
                {
                    long place = places[first + i];
                    float scale = scales == null ? 1 : scales[indices[place] - firstRow];
                    scores[place] = distance ? -(float)Distance(queries.AsSpan((int)(of * d), dimensions), row[i], dtype, scale) : scale * (units[of] * products[i]);
                }
            }
        });
    }

    /// <summary>Asks the system to read the pages of mapped <paramref name="rows"/> from now on, while others are scanned.</summary>
    public static void Prefetch(Tensor rows) => Advise(rows, HostMemory.WillNeed);

    /// <summary>Gives the pages of mapped <paramref name="rows"/> back, which are read again when they are touched. Memory that is not mapped stays.</summary>
    public static void GiveBack(Tensor rows) => Advise(rows, HostMemory.DoNotNeed);

    /// <summary>Whether rows come from a file, as the system has room for them.</summary>
    public static bool AreMapped(Tensor rows) => rows.Memory is CpuMemory { IsMapped: true };

    private static void Advise(Tensor rows, int advice)
    {
        if (rows.Memory is CpuMemory { IsMapped: true } memory) HostMemory.AdvisePages(memory.Pointer + rows.Offset, rows.Bytes, advice);
    }

    /// <summary>Products of some rows, while those behind them are fetched.</summary>
    private static void Multiply(DType dtype, byte** rows, int count, float* query, long d, float* products)
    {
        byte** next = rows + GatherScan.Rows;
        long chunk = DotKernel.Chunk(d);
        switch (dtype)
        {
            case DType.F32:
                GatherScan.Multiply<FloatF32>(rows, next, count, query, d, chunk, products);
                break;
            case DType.BF16:
                GatherScan.Multiply<FloatBF16>(rows, next, count, query, d, chunk, products);
                break;
            case DType.F16:
                GatherScan.Multiply<FloatF16>(rows, next, count, query, d, chunk, products);
                break;
            default:
                GatherScan.Multiply<FormatI8>(rows, next, count, query, d, chunk, products);
                break;
        }
    }

    private static double Distance(ReadOnlySpan<float> query, byte* row, DType dtype, float scale)
    {
        double sum = 0;
        for (int i = 0; i < query.Length; i++)
        {
            float value = dtype switch
            {
                DType.F32 => ((float*)row)[i],
                DType.F16 => (float)((Half*)row)[i],
                DType.BF16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)row)[i] << 16),
                _ => ((sbyte*)row)[i],
            };
            double difference = (double)query[i] - (double)scale * value;
            sum += difference * difference;
        }

        return sum;
    }
}
