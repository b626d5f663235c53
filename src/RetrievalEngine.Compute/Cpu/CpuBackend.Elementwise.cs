using System;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Work below this many bytes is done by the caller alone: handing it out would cost as much.
    private const long BytesPerTask = 1 << 16;

    // An output larger than the caches is written past them: the lines it overwrites are then not read first.
    private const long StreamBytes = 32 << 20;

    private static float* Floats(string op, Tensor tensor)
    {
        if (!tensor.IsEmpty && tensor.DType != DType.F32) throw new ArgumentException($"{op}: the CPU backend computes in F32, not on {tensor}");
        return Pointer<float>(tensor);
    }

    /// <summary>
    /// Tasks for <paramref name="items"/> of <paramref name="bytes"/> each: a few a thread, so that a thread which is held up costs little.
    /// </summary>
    private int Tasks(long items, long bytes)
    {
        long most = _workers.Count == 1 ? 1 : _workers.Count * 4L;
        return (int)Math.Clamp((long)((double)items * bytes / BytesPerTask), 1, Math.Max(1, Math.Min(items, most)));
    }

    /// <summary>Items of task <paramref name="task"/> of <paramref name="tasks"/>.</summary>
    private static (long Start, long End) Range(long items, int task, int tasks)
    {
        long each = items / tasks, rest = items % tasks;
        long start = each * task + Math.Min(task, rest);
        return (start, start + each + (task < rest ? 1 : 0));
    }

    /// <summary>As <see cref="Range"/>, in whole vectors but for the last.</summary>
    private static (long Start, long End) VectorRange(long count, int task, int tasks)
    {
        (long start, long end) = Range((count + VectorMath.Width - 1) / VectorMath.Width, task, tasks);
        return (start * VectorMath.Width, Math.Min(count, end * VectorMath.Width));
    }

    private void Map<TMap>(TMap map, float* x, float* y, long count)
        where TMap : struct, IMap
    {
        int tasks = Tasks(count, 8);
        _workers.Run(new MapJob<TMap>(map, x, y, count, tasks, y != x && Streams(y, count)), tasks);
    }

    private void Map<TMap>(TMap map, float* a, float* b, float* y, long count)
        where TMap : struct, IMap2
    {
        int tasks = Tasks(count, 12);
        _workers.Run(new Map2Job<TMap>(map, a, b, y, count, tasks, y != a && y != b && Streams(y, count)), tasks);
    }

    private static bool Streams(float* y, long count) => count >= StreamBytes / sizeof(float) && (nint)y % (VectorMath.Width * sizeof(float)) == 0;

    private static void MapRow<TMap>(TMap map, float* x, float* y, long count)
        where TMap : struct, IMap
    {
        long i = 0;
        for (; i <= count - VectorMath.Width; i += VectorMath.Width) map.Apply(Vector512.Load(x + i)).Store(y + i);
        if (i >= count) return;
        int rest = (int)(count - i);
        VectorMath.StorePartial(map.Apply(VectorMath.LoadPartial(x + i, rest)), y + i, rest);
    }

    private static void MapRow<TMap>(TMap map, float* a, float* b, float* y, long count)
        where TMap : struct, IMap2
    {
        long i = 0;
        for (; i <= count - VectorMath.Width; i += VectorMath.Width) map.Apply(Vector512.Load(a + i), Vector512.Load(b + i)).Store(y + i);
        if (i >= count) return;
        int rest = (int)(count - i);
        VectorMath.StorePartial(map.Apply(VectorMath.LoadPartial(a + i, rest), VectorMath.LoadPartial(b + i, rest)), y + i, rest);
    }

    private readonly struct MapJob<TMap>(TMap map, float* x, float* y, long count, int tasks, bool stream) : IJob
        where TMap : struct, IMap
    {
        public void Run(int task)
        {
            (long i, long end) = VectorRange(count, task, tasks);
            for (; stream && i <= end - VectorMath.Width; i += VectorMath.Width) map.Apply(Vector512.Load(x + i)).StoreAlignedNonTemporal(y + i);
            MapRow(map, x + i, y + i, end - i);
        }
    }

    private readonly struct Map2Job<TMap>(TMap map, float* a, float* b, float* y, long count, int tasks, bool stream) : IJob
        where TMap : struct, IMap2
    {
        public void Run(int task)
        {
            (long i, long end) = VectorRange(count, task, tasks);
            for (; stream && i <= end - VectorMath.Width; i += VectorMath.Width)
                map.Apply(Vector512.Load(a + i), Vector512.Load(b + i)).StoreAlignedNonTemporal(y + i);
            MapRow(map, a + i, b + i, y + i, end - i);
        }
    }

    private readonly struct Sum : IMap2
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> a, Vector512<float> b) => a + b;
    }

    private readonly struct Times(float factor) : IMap
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector512<float> Apply(Vector512<float> x) => x * factor;
    }
}
