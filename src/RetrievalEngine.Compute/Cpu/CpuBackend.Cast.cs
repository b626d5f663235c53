using System;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.Cast"/>
    public void Cast(Tensor source, Tensor destination)
    {
        OpChecks.Cast(source, destination);
        switch (source.DType)
        {
            case DType.F32:
                CastFrom<FloatF32>(source, destination);
                break;
            case DType.F16:
                CastFrom<FloatF16>(source, destination);
                break;
            default:
                CastFrom<FloatBF16>(source, destination);
                break;
        }
    }

    private void CastFrom<TFrom>(Tensor source, Tensor destination)
        where TFrom : IFloatFormat
    {
        switch (destination.DType)
        {
            case DType.F32:
                Cast<TFrom, FloatF32>(source, destination);
                break;
            case DType.F16:
                Cast<TFrom, FloatF16>(source, destination);
                break;
            default:
                Cast<TFrom, FloatBF16>(source, destination);
                break;
        }
    }

    private void Cast<TFrom, TTo>(Tensor source, Tensor destination)
        where TFrom : IFloatFormat
        where TTo : IFloatFormat
    {
        int tasks = Tasks(source.Count, TFrom.Size + TTo.Size);
        _workers.Run(new CastJob<TFrom, TTo>(Pointer<byte>(source), Pointer<byte>(destination), source.Count, tasks), tasks);
    }

    /// <summary>16 elements or the <paramref name="count"/> that are left, the others 0.</summary>
    private static Vector512<float> LoadPartial<TFrom>(byte* source, int count)
        where TFrom : IElementFormat
    {
        byte* buffer = stackalloc byte[VectorMath.Width * sizeof(float)];
        new Span<byte>(buffer, VectorMath.Width * TFrom.Size).Clear();
        Buffer.MemoryCopy(source, buffer, count * TFrom.Size, count * TFrom.Size);
        return TFrom.Load(buffer);
    }

    private readonly struct CastJob<TFrom, TTo>(byte* from, byte* to, long count, int tasks) : IJob
        where TFrom : IFloatFormat
        where TTo : IFloatFormat
    {
        public void Run(int task)
        {
            (long i, long end) = VectorRange(count, task, tasks);
            for (; i <= end - VectorMath.Width; i += VectorMath.Width) TTo.Store(TFrom.Load(from + i * TFrom.Size), to + i * TTo.Size);
            if (i >= end) return;
            byte* buffer = stackalloc byte[VectorMath.Width * sizeof(float)];
            TTo.Store(LoadPartial<TFrom>(from + i * TFrom.Size, (int)(end - i)), buffer);
            Buffer.MemoryCopy(buffer, to + i * TTo.Size, (end - i) * TTo.Size, (end - i) * TTo.Size);
        }
    }
}
