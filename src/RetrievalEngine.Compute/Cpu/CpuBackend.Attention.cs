using System;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void AttentionForward(
        Tensor q, Tensor k, Tensor v, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options, Tensor relativeBias, Tensor o, Tensor lse,
        ReadOnlySpan<int> offsets = default)
    {
        var sizes = OpChecks.AttentionForward(q, k, v, cuSeqLens, maxSeqLen, options, relativeBias, o, lse);
        ReadOnlySpan<int> cu = SequenceLengths(nameof(AttentionForward), q, cuSeqLens, maxSeqLen, out int longest);
        using Scratch.Loan bias = _scratch.Rent(BiasBytes(sizes.Heads, longest, relativeBias));
        AttentionProblem problem = Problem(sizes, q, k, v, o, lse, cuSeqLens, longest, options, relativeBias, (float*)bias.Pointer);
        int capacity = AttentionPlan.MaxUnits(sizes.Sequences, sizes.Tokens);
        using Scratch.Loan plan = _scratch.Rent((long)capacity * sizeof(AttentionUnit));
        Span<AttentionUnit> units = new(plan.Pointer, capacity);
        units = units[..AttentionPlan.Forward(problem, cu, _workers.Count, units)];
        long maxKeys = 0;
        foreach (AttentionUnit unit in units) maxKeys = Math.Max(maxKeys, unit.EndKey - unit.FirstKey);
        long work = units.Length * (long)sizes.KvHeads;
        int unitsPerTask = AttentionPlan.UnitsPerTask(work, _workers.Count);
        AttentionForwardJob job = new()
        {
            Problem = problem,
            Units = (AttentionUnit*)plan.Pointer,
            UnitCount = units.Length,
            UnitsPerTask = unitsPerTask,
            Scratch = _scratch,
            MaxKeys = maxKeys,
        };
        _workers.Run(job, (int)((work + unitsPerTask - 1) / unitsPerTask));
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        Tensor dO, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, Tensor cuSeqLens, int maxSeqLen, AttentionOptions options,
        Tensor relativeBias, Tensor dq, Tensor dk, Tensor dv, Tensor drelativeBias, ReadOnlySpan<int> offsets = default)
    {
        var sizes = OpChecks.AttentionBackward(dO, q, k, v, o, lse, cuSeqLens, maxSeqLen, options, relativeBias, dq, dk, dv, drelativeBias);
        ReadOnlySpan<int> cu = SequenceLengths(nameof(AttentionBackward), q, cuSeqLens, maxSeqLen, out int longest);
        using Scratch.Loan bias = _scratch.Rent(BiasBytes(sizes.Heads, longest, relativeBias));
        AttentionProblem problem = Problem(sizes, q, k, v, o, lse, cuSeqLens, longest, options, relativeBias, (float*)bias.Pointer);
        int capacity = AttentionPlan.MaxUnits(sizes.Sequences, sizes.Tokens);
        using Scratch.Loan plan = _scratch.Rent((long)capacity * sizeof(AttentionUnit)), firstBiasPart = _scratch.Rent(sizes.Sequences * sizeof(int));
        Span<AttentionUnit> units = new(plan.Pointer, capacity);
        units = units[..AttentionPlan.Backward(problem, cu, _workers.Count, units)];
        int biasBlocks = 0;
        for (int b = 0; b < sizes.Sequences; b++)
        {
            ((int*)firstBiasPart.Pointer)[b] = biasBlocks;
            biasBlocks += (cu[b + 1] - cu[b] + AttentionPlan.KeyBlock - 1) / AttentionPlan.KeyBlock;
        }

        long parts = drelativeBias.IsEmpty ? 0 : (long)biasBlocks * drelativeBias.Count;
        using Scratch.Loan biasParts = _scratch.Rent(parts * sizeof(float));
        long work = units.Length * (long)sizes.KvHeads;
        int unitsPerTask = AttentionPlan.UnitsPerTask(work, _workers.Count);
        AttentionBackwardJob job = new()
        {
            Problem = problem,
            DO = Pointer<float>(dO),
            Dq = Pointer<float>(dq),
            Dk = Pointer<float>(dk),
            Dv = Pointer<float>(dv),
            BiasParts = drelativeBias.IsEmpty ? null : (float*)biasParts.Pointer,
            FirstBiasPart = (int*)firstBiasPart.Pointer,
            Buckets = sizes.Buckets,
            Units = (AttentionUnit*)plan.Pointer,
            UnitCount = units.Length,
            UnitsPerTask = unitsPerTask,
            Scratch = _scratch,
            MaxLength = longest,
        };
        _workers.Run(job, (int)((work + unitsPerTask - 1) / unitsPerTask));
        float* part = (float*)biasParts.Pointer, dbias = Pointer<float>(drelativeBias);
        for (long block = 0; block < parts; block += drelativeBias.Count)
        {
            for (int h = 0; h < sizes.Heads; h++)
                for (int bucket = 0; bucket < sizes.Buckets; bucket++, part++) dbias[bucket * sizes.Heads + h] += *part;
        }
    }

    private static AttentionProblem Problem(
        (int Tokens, int Heads, int KvHeads, int HeadDim, int Sequences, int Buckets) sizes, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse,
        Tensor cuSeqLens, int longest, AttentionOptions options, Tensor relativeBias, float* biasTable)
    {
        long distances = BiasDistances(longest);
        AttentionProblem problem = new()
        {
            Q = Pointer<float>(q),
            K = Pointer<float>(k),
            V = Pointer<float>(v),
            O = Pointer<float>(o),
            Lse = Pointer<float>(lse),
            CuSeqLens = Pointer<int>(cuSeqLens),
            Tokens = sizes.Tokens,
            Heads = sizes.Heads,
            KvHeads = sizes.KvHeads,
            HeadDim = sizes.HeadDim,
            Options = options,
            Bias = relativeBias.IsEmpty ? null : biasTable + distances / 2,
            BiasStride = (nint)distances,
        };
        if (relativeBias.IsEmpty) return problem;
        for (int distance = -(int)(distances / 2); distance < distances / 2; distance++)
        {
            int bucket = RelativeBuckets.Bucket(-distance, sizes.Buckets, options.RelativeMaxDistance);
            float* row = Pointer<float>(relativeBias) + (long)bucket * sizes.Heads;
            for (int h = 0; h < sizes.Heads; h++) problem.Bias[h * distances + distance] = row[h] * AttentionProblem.Log2E;
        }

        return problem;
    }

    /// <summary>Distances i - j in a bias table of one head: all that occur and a vector more on either side.</summary>
    private static long BiasDistances(int longest) => 2L * (longest + AttentionTile.Columns);

    private static long BiasBytes(int heads, int longest, Tensor relativeBias) =>
        relativeBias.IsEmpty ? 0 : heads * BiasDistances(longest) * sizeof(float);

    private static ReadOnlySpan<int> SequenceLengths(string op, Tensor q, Tensor cuSeqLens, int maxSeqLen, out int longest)
    {
        if (q.DType != DType.F32) throw new ArgumentException($"{op}: q is {q} but activations on the CPU are F32");
        ReadOnlySpan<int> lengths = cuSeqLens.AsSpan<int>();
        OpChecks.CuSeqLens(op, lengths, q.Shape[0], maxSeqLen);
        longest = 0;
        for (int b = 1; b < lengths.Length; b++) longest = Math.Max(longest, lengths[b] - lengths[b - 1]);
        return lengths;
    }
}
