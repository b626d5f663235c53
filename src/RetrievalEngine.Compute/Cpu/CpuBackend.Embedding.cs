using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.EmbeddingForward"/>
    public void EmbeddingForward(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate)
    {
        OpChecks.EmbeddingForward(table, ids, y);
        OpChecks.Indices(nameof(EmbeddingForward), nameof(ids), ids.AsSpan<int>(), table.Shape[0]);
        switch (table.DType)
        {
            case DType.F32:
                Embed<FloatF32>(table, ids, scale, y, accumulate);
                break;
            case DType.F16:
                Embed<FloatF16>(table, ids, scale, y, accumulate);
                break;
            default:
                Embed<FloatBF16>(table, ids, scale, y, accumulate);
                break;
        }
    }

    /// <inheritdoc cref="IBackend.EmbeddingBackward"/>
    public void EmbeddingBackward(Tensor dy, Tensor ids, float scale, Tensor dtable)
    {
        OpChecks.EmbeddingBackward(dy, ids, dtable);
        OpChecks.Indices(nameof(EmbeddingBackward), nameof(ids), ids.AsSpan<int>(), dtable.Shape[0]);
        long tokens = ids.Count, width = dtable.Shape[1];
        int tasks = (int)Math.Min(Tasks(tokens, width * 12), (width + VectorMath.Width - 1) / VectorMath.Width);
        _workers.Run(new EmbeddingBackwardJob(Floats(nameof(EmbeddingBackward), dy), Pointer<int>(ids), scale, Pointer<float>(dtable), tokens, width,
            tasks), tasks);
    }

    private void Embed<TTable>(Tensor table, Tensor ids, float scale, Tensor y, bool accumulate)
        where TTable : IFloatFormat
    {
        long tokens = ids.Count, width = table.Shape[1];
        int tasks = Tasks(tokens, width * 8);
        _workers.Run(
            new EmbeddingForwardJob<TTable>(Pointer<byte>(table), Pointer<int>(ids), scale, Floats(nameof(EmbeddingForward), y), accumulate, tokens,
                width, tasks), tasks);
    }

    private readonly struct EmbeddingForwardJob<TTable>(byte* table, int* ids, float scale, float* y, bool accumulate, long tokens, long width,
        int tasks) : IJob
        where TTable : IFloatFormat
    {
        public void Run(int task)
        {
            (long token, long end) = Range(tokens, task, tasks);
            for (; token < end; token++)
            {
                byte* from = table + ids[token] * width * TTable.Size;
                float* to = y + token * width;
                for (long i = 0; i < width; i += VectorMath.Width)
                {
                    int rest = (int)Math.Min(VectorMath.Width, width - i);
                    byte* at = from + i * TTable.Size;
                    Vector512<float> value = (rest == VectorMath.Width ? TTable.Load(at) : LoadPartial<TTable>(at, rest)) * scale;
                    if (accumulate) value += VectorMath.Load(to + i, rest);
                    VectorMath.Store(value, to + i, rest);
                }
            }
        }
    }

    // Each task owns some columns of the table and walks all tokens: no two tasks meet in a row, and every element sees its tokens in order.
    private readonly struct EmbeddingBackwardJob(float* dy, int* ids, float scale, float* dtable, long tokens, long width, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long start, long end) = VectorRange(width, task, tasks);
            for (long token = 0; token < tokens; token++)
            {
                float* row = dtable + ids[token] * width + start;
                MapRow(new PlusScaled(scale), row, dy + token * width + start, row, end - start);
            }
        }
    }

    private readonly struct PlusScaled(float scale) : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => a + b * scale;
    }
}
