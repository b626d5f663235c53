using System;
using System.Numerics;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    private const float Log2E = 1.44269504f;
    private (DeviceMemory? Memory, int Reach, int Buckets, int MaxDistance) _relativeBuckets;

    /// <inheritdoc/>
    public void AttentionForward(
        Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse,
        ReadOnlySpan<int> offsets = default)
    {
        var sizes = OpChecks.AttentionForward(q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse);
        if (sizes.Tokens == 0) return;
        ArenaMark mark = Scratch.Mark();
        AttentionTiles tiles = AttentionTiles.Of(q.DType, sizes.HeadDim);
        AttentionArguments arguments = Arguments(sizes, cuSeqLens, maxSeqLen, options, relativeBias, out _);
        arguments.Vectors = Vectors(sizes.HeadDim, q, k, v, o);
        Grid queries = AttentionGrid(out AttentionOrderArguments order, sizes, tiles.ForwardRows, options, offsets, rowsAreKeys: false);
        Launch("attention_forward", $"attention_forward_{Suffix(q.DType)}_{tiles.HeadDim}", queries,
            tiles.ForwardThreads, tiles.ForwardSharedBytes(q.DType), [KernelArgument.Struct(ref arguments), q, k, v, o, lse, KernelArgument.Struct(ref order)]);
        Scratch.Release(mark);
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias, ReadOnlySpan<int> offsets = default)
    {
        var sizes = OpChecks.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, maxSeqLen, options, relativeBias, dq, dk, dv, drelativeBias);
        if (sizes.Tokens == 0) return;
        ArenaMark mark = Scratch.Mark();
        AttentionTiles tiles = AttentionTiles.Of(q.DType, sizes.HeadDim);
        AttentionArguments arguments = Arguments(sizes, cuSeqLens, maxSeqLen, options, relativeBias, out Tensor buckets);
        arguments.Vectors = Vectors(sizes.HeadDim, q, k, v, o, dO, dq, dk, dv);
        Tensor delta = Scratch.Allocate(lse.Shape), parts = default;
        int slots = AttentionSlots(sizes, tiles.Rows), partWidth = Math.Min(maxSeqLen, sizes.Tokens) + tiles.Columns + tiles.WarpRows;
        bool sumsBias = !drelativeBias.IsEmpty;
        if (sumsBias) parts = Scratch.Allocate(new Shape((long)slots * tiles.Groups, sizes.Heads, partWidth));
        AttentionGradients gradients = new()
        {
            Q = CudaMemory.Address(q),
            K = CudaMemory.Address(k),
            V = CudaMemory.Address(v),
            DO = CudaMemory.Address(dO),
            Lse = CudaMemory.Address(lse),
            Delta = CudaMemory.Address(delta),
            Dq = CudaMemory.Address(dq),
            Dk = CudaMemory.Address(dk),
            Dv = CudaMemory.Address(dv),
            BiasParts = CudaMemory.Address(parts),
            PartWidth = partWidth,
        };
        const int DeltaThreads = 256, LanesPerRow = 8;
        long rows = (long)sizes.Tokens * sizes.Heads;
        Launch("attention_backward", $"attention_delta_{Suffix(q.DType)}", new Grid((rows * LanesPerRow + DeltaThreads - 1) / DeltaThreads), DeltaThreads, 0,
            [dO, o, delta, sizes.Tokens, sizes.Heads, sizes.HeadDim, arguments.Vectors]);
        Grid keys = AttentionGrid(out AttentionOrderArguments keyOrder, sizes, tiles.Rows, options, offsets, rowsAreKeys: true);
        Launch("attention_backward", $"attention_backward_keys_{Suffix(q.DType)}_{tiles.HeadDim}", keys, tiles.Threads(rowsAreKeys: true),
            tiles.SharedBytes(q.DType, rowsAreKeys: true, biasGradient: false),
            [KernelArgument.Struct(ref arguments), KernelArgument.Struct(ref gradients), KernelArgument.Struct(ref keyOrder)]);
        Grid queries = AttentionGrid(out AttentionOrderArguments queryOrder, sizes, tiles.Rows, options, offsets, rowsAreKeys: false);
        Launch("attention_backward", $"attention_backward_queries_{Suffix(q.DType)}_{tiles.HeadDim}", queries, tiles.Threads(rowsAreKeys: false),
            tiles.SharedBytes(q.DType, rowsAreKeys: false, sumsBias),
            [KernelArgument.Struct(ref arguments), KernelArgument.Struct(ref gradients), KernelArgument.Struct(ref queryOrder)]);
        if (sumsBias)
            Launch("attention_backward", "attention_bias_gradient", new Grid(sizes.Buckets, sizes.Heads), DeltaThreads, 0,
                [KernelArgument.Struct(ref arguments), parts, partWidth, buckets, drelativeBias, slots, tiles.Rows, tiles.WarpRows]);
        Scratch.Release(mark);
    }

    /// <summary>Slots of blocks of rows of all sequences, however long each is (find_rows in kernels/attention/problem.cuh).</summary>
    private static int AttentionSlots((int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) sizes, int rows) =>
        checked((int)((long)sizes.Tokens / rows + sizes.Sequences));

    /// <summary>Blocks of rows by heads, in the order of <see cref="AttentionOrder"/> where the host knows the sequences' offsets.</summary>
    private Grid AttentionGrid(out AttentionOrderArguments order, (int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) sizes,
        int rows, AttentionOptions options, ReadOnlySpan<int> offsets, bool rowsAreKeys)
    {
        int blocks = AttentionSlots(sizes, rows);
        order = default;
        if (!offsets.IsEmpty)
        {
            if (offsets.Length != sizes.Sequences + 1 || offsets[^1] != sizes.Tokens)
                throw new ArgumentException($"attention: {offsets.Length} offsets to {offsets[^1]} for {sizes.Sequences} sequences of {sizes.Tokens} tokens");
            (int before, int after) = rowsAreKeys ? (options.WindowRight, options.WindowLeft) : (options.WindowLeft, options.WindowRight);
            ReadOnlySpan<ushort> slots = _attentionOrder.Get(offsets, rows, before, after);
            if (!slots.IsEmpty)
            {
                fixed (ushort* to = order.Slots) slots.CopyTo(new Span<ushort>(to, AttentionOrder.Most));
                order.Count = blocks = slots.Length;
            }
        }

        return new Grid(blocks, rowsAreKeys ? sizes.KvHeads : sizes.Heads);
    }

    /// <summary>1 where rows of all <paramref name="tensors"/> are multiples of 16 bytes and stand at such addresses.</summary>
    private static int Vectors(int headDim, params ReadOnlySpan<Tensor> tensors)
    {
        if (headDim * tensors[0].DType.Size() % PacketBytes != 0) return 0;
        foreach (Tensor tensor in tensors)
            if (CudaMemory.Address(tensor) % PacketBytes != 0) return 0;
        return 1;
    }

    /// <summary>What both passes are told; a relative bias is spread out over all distances in Scratch.</summary>
    private AttentionArguments Arguments((int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) sizes, Tensor cuSeqLens, int maxSeqLen,
        AttentionOptions options, Tensor relativeBias, out Tensor buckets)
    {
        const int Threads = 256;
        int longest = Math.Min(maxSeqLen, sizes.Tokens), reach = longest + AttentionTiles.LargestBlock;
        AttentionArguments arguments = new()
        {
            CuSeqLens = CudaMemory.Address(cuSeqLens),
            Sequences = sizes.Sequences,
            Tokens = sizes.Tokens,
            Heads = sizes.Heads,
            KvHeads = sizes.KvHeads,
            HeadDim = sizes.HeadDim,
            WindowLeft = options.WindowLeft < 0 ? longest : Math.Min(options.WindowLeft, longest),
            WindowRight = options.WindowRight < 0 ? longest : Math.Min(options.WindowRight, longest),
            Reach = reach,
            Factor = options.SoftCap > 0 ? 2 * Log2E * options.Scale / options.SoftCap : Log2E * options.Scale,
            Cap = options.SoftCap * Log2E,
            Scale = options.Scale,
        };
        buckets = default;
        if (relativeBias.IsEmpty) return arguments;
        buckets = RelativeBucketTable(reach, sizes.Buckets, options.RelativeMaxDistance);
        Tensor table = Scratch.Allocate(new Shape(sizes.Heads, 2L * reach));
        Launch("attention_forward", "attention_bias_table", new Grid((2L * reach + Threads - 1) / Threads, sizes.Heads), Threads, 0,
            [relativeBias, buckets, table, reach]);
        arguments.Bias = CudaMemory.Address(table);
        return arguments;
    }

    /// <summary>
    /// The bucket of each distance key - query from -<paramref name="reach"/> to reach - 1. By the host, which rounds logarithms as the CPU backend does; kept
    /// on the device, since a model asks for the same in every layer, and made for more than is asked, since batches differ.
    /// </summary>
    private Tensor RelativeBucketTable(int reach, int buckets, int maxDistance)
    {
        (DeviceMemory? memory, int kept, int keptBuckets, int keptDistance) = _relativeBuckets;
        if (memory is null || kept < reach || keptBuckets != buckets || keptDistance != maxDistance)
        {
            memory?.Dispose();
            kept = (int)BitOperations.RoundUpToPowerOf2((uint)reach);
            int[] table = new int[2 * kept];
            for (int i = 0; i < table.Length; i++) table[i] = RelativeBuckets.Bucket(i - kept, buckets, maxDistance);
            memory = Allocate(table.Length * sizeof(int));
            Upload(MemoryMarshal.AsBytes(table.AsSpan()), new Tensor(memory, 0, new Shape(table.Length), DType.I32));
            _relativeBuckets = (memory, kept, buckets, maxDistance);
        }

        return new Tensor(memory, (kept - reach) * sizeof(int), new Shape(2L * reach), DType.I32);
    }

    /// <summary>AttentionArguments of kernels/attention/problem.cuh, field by field.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AttentionArguments
    {
        public ulong CuSeqLens, Bias;
        public int Sequences, Tokens, Heads, KvHeads, HeadDim, WindowLeft, WindowRight, Reach;
        public float Factor, Cap, Scale;
        public int Vectors;
    }

    /// <summary>AttentionOrder of kernels/attention/problem.cuh, field by field.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AttentionOrderArguments
    {
        public int Count;
        public fixed ushort Slots[AttentionOrder.Most];
    }

    /// <summary>AttentionGradients of kernels/attention_backward.cu, field by field.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AttentionGradients
    {
        public ulong Q, K, V, DO, Lse, Delta, Dq, Dk, Dv, BiasParts;
        public int PartWidth;
    }
}
