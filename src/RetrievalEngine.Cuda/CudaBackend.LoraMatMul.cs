using System;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda.Products;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    // What the segments of one launch are enough for, 12 for an F32 projection with its adapter; more projections than that go in several calls.
    private const int ProjectionsAtOnce = 4;

    /// <inheritdoc/>
    /// <remarks>A and B are rounded to the activations' type, as W is where it has another.</remarks>
    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation = Activation.None)
    {
        (long m, long k) = OpChecks.LoraMatMulForward(x, projections, dropout, s, y);
        if (m == 0) return;
        for (int first = 0; first < projections.Length; first += ProjectionsAtOnce)
        {
            Range range = first..Math.Min(first + ProjectionsAtOnce, projections.Length);
            ArenaMark mark = Scratch.Mark();
            Forward(x, projections[range], dropout, s[range], y[range], activation, m, k);
            Scratch.Release(mark);
        }
    }

    /// <inheritdoc/>
    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false)
    {
        (long m, long k) = OpChecks.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx);
        if (m == 0) return;
        for (int first = 0; first < projections.Length; first += ProjectionsAtOnce)
        {
            Range range = first..Math.Min(first + ProjectionsAtOnce, projections.Length);
            ArenaMark mark = Scratch.Mark();
            Backward(dy[range], x, projections[range], dropout, s[range], gradients[range], dx, accumulate || first > 0, m, k);
            Scratch.Release(mark);
        }
    }

    private void Forward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation, long m, long k)
    {
        ProductType type = new(x.DType);
        long rank = TotalRank(projections);
        PackList packs = default;
        Span<Planes> weights = stackalloc Planes[projections.Length], adapters = stackalloc Planes[projections.Length];
        Planes input = Operand(ref packs, x, type), a = StackedA(ref packs, projections, rank, k, type);
        for (int i = 0; i < projections.Length; i++)
        {
            weights[i] = Operand(ref packs, projections[i].W, type);
            if (projections[i].Rank > 0) adapters[i] = Operand(ref packs, projections[i].B, type);
        }

        Pack(ref packs);
        if (rank > 0)
        {
            // s of all adapters in one pass over x, side by side.
            NarrowList narrow = new(dropout);
            ReduceList sums = default;
            long count = NarrowList.Parts(k), stride = NarrowList.Stride(rank), column = 0;
            Tensor parts = Scratch.Allocate(new Shape(count, m, stride));
            bool drops = dropout.Probability > 0;
            narrow.Add(parts, m, rank, k, k, drops);
            narrow.AddSegments(input, a, k);
            MultiplyNarrow(ref narrow, transposed: false, type.DType);
            for (int i = 0; i < projections.Length; i++)
            {
                long r = projections[i].Rank;
                if (r == 0) continue;
                float scale = projections[i].Scale * (drops ? narrow.Launch.Dropout.Scale : 1);
                sums.Add(parts, column, stride, count, m, r, CudaMemory.Address(s[i]), s[i].DType, r, 1, scale, false);
                column += r;
            }

            Reduce(ref sums);
        }

        ProductList products = default;
        for (int i = 0; i < projections.Length; i++)
        {
            Projection p = projections[i];
            if (p.Outputs == 0) continue;
            products.Add(y[i], m, p.Outputs, p.Bias);
            products.AddSegments(input, weights[i], k);
            if (p.Rank > 0) products.AddSegments(Operand(ref packs, s[i], type), adapters[i], p.Rank);
        }

        Pack(ref packs);
        Multiply(ref products, false, true, type.DType, activation: activation);
    }

    private void Backward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate, long m, long k)
    {
        ProductType type = new(x.DType);
        long rank = TotalRank(projections);
        bool needsA = false, needsW = false;
        foreach (ProjectionGradient gradient in gradients) (needsA, needsW) = (needsA || !gradient.A.IsEmpty, needsW || !gradient.W.IsEmpty);

        PackList packs = default;
        Span<Planes> outputs = stackalloc Planes[dy.Length];
        for (int i = 0; i < dy.Length; i++) outputs[i] = Operand(ref packs, dy[i], type);
        Planes input = needsA || needsW ? Operand(ref packs, x, type) : default, ds = default;
        if (rank > 0 && (needsA || !dx.IsEmpty)) ds = AdapterGradient(ref packs, outputs, projections, rank, m, x.DType);
        if (!dx.IsEmpty) InputGradient(ref packs, outputs, projections, dropout, ds, dx, accumulate, rank, m, k, type);
        ParameterGradients(ref packs, outputs, dy, input, projections, dropout, s, gradients, ds, rank, m, k, type);
        if (needsW) WeightGradients(outputs, input, gradients, m, k, type);
    }

    private static long TotalRank(ReadOnlySpan<Projection> projections)
    {
        long sum = 0;
        foreach (Projection projection in projections) sum += projection.Rank;
        return sum;
    }

    /// <summary>The A of all adapters one below the other.</summary>
    private Planes StackedA(ref PackList packs, ReadOnlySpan<Projection> projections, long rank, long k, ProductType type)
    {
        if (rank == 0) return default;
        Planes stacked = NewOperand(rank, k, type, type.Planes(DType.F32));
        long row = 0;
        foreach (Projection p in projections)
        {
            if (p.Rank > 0) AddPack(ref packs, p.A, k, 1, p.Rank, k, stacked, row);
            row += p.Rank;
        }

        return stacked;
    }

    /// <summary>ds [M, Σ R] = scale · dy·B of all adapters side by side.</summary>
    private Planes AdapterGradient(ref PackList packs, ReadOnlySpan<Planes> dy, ReadOnlySpan<Projection> projections, long rank, long m, DType dtype)
    {
        ProductType type = new(dtype);
        NarrowList narrow = new(Dropout.None);
        ReduceList sums = default;
        Tensor ds = Scratch.Allocate(new Shape(m, rank), dtype);
        ulong column = CudaMemory.Address(ds);
        for (int i = 0; i < dy.Length; i++)
        {
            (long n, long r) = (projections[i].Outputs, projections[i].Rank);
            if (r == 0) continue;
            long count = NarrowList.Parts(n), stride = NarrowList.Stride(r);
            Tensor parts = Scratch.Allocate(new Shape(count, m, stride));
            narrow.Add(parts, m, r, n, n, drops: false);
            narrow.AddSegments(dy[i], TransposedOperand(ref packs, projections[i].B, type), n);
            sums.Add(parts, 0, stride, count, m, r, column, dtype, rank, 1, projections[i].Scale, false);
            column += (ulong)(r * dtype.Size());
        }

        Pack(ref packs);
        MultiplyNarrow(ref narrow, transposed: false, type.DType);
        Reduce(ref sums);
        return Operand(ref packs, ds, type);
    }

    /// <summary>dx [M, K] = mask · ds·A / (1 - p) + Σ dy·W.</summary>
    private void InputGradient(ref PackList packs, ReadOnlySpan<Planes> dy, ReadOnlySpan<Projection> projections, Dropout dropout, Planes ds, Tensor dx,
        bool accumulate, long rank, long m, long k, ProductType type)
    {
        ProductList products = default;
        products.Add(dx, m, k);
        if (rank > 0)
        {
            products.AddSegments(ds, StackedA(ref packs, projections, rank, k, type), rank);
            if (dropout.Probability > 0) products.Drop(dropout);
        }

        for (int i = 0; i < dy.Length; i++) products.AddSegments(dy[i], Operand(ref packs, projections[i].W, type), projections[i].Outputs);
        Pack(ref packs);
        Multiply(ref products, false, false, type.DType, accumulate: accumulate);
    }

    /// <summary>dA += dsᵀ·drop(x), dB += dyᵀ·s, dBias += Σ rows of dy: sums over the tokens, in parts that are then added up in order.</summary>
    private void ParameterGradients(ref PackList packs, ReadOnlySpan<Planes> outputs, ReadOnlySpan<Tensor> dy, Planes input,
        ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<ProjectionGradient> gradients, Planes ds, long rank, long m, long k, ProductType type)
    {
        NarrowList narrow = new(dropout);
        ReduceList sums = default;
        long count = NarrowList.Parts(m), stride = NarrowList.Stride(rank), column = 0;
        bool drops = dropout.Probability > 0;
        Tensor all = default;
        for (int i = 0; i < projections.Length; i++)
        {
            (long n, long r) = (projections[i].Outputs, projections[i].Rank);
            if (!gradients[i].A.IsEmpty)
            {
                if (all.IsEmpty)
                {
                    all = Scratch.Allocate(new Shape(count, k, stride));
                    narrow.Add(all, k, rank, m, k, drops);
                    narrow.AddSegments(input, ds, m);
                }

                if (i == 0 || gradients[i].A != gradients[i - 1].A)
                {
                    float scale = drops ? narrow.Launch.Dropout.Scale : 1;
                    sums.Add(all, column, stride, count, k, r, CudaMemory.Address(gradients[i].A), DType.F32, 1, k, scale, true, Sharers(gradients[i..]));
                }

                Tensor parts = Scratch.Allocate(new Shape(count, n, NarrowList.Stride(r)));
                narrow.Add(parts, n, r, m, n, drops: false);
                narrow.AddSegments(outputs[i], Operand(ref packs, s[i], type), m);
                sums.Add(parts, 0, NarrowList.Stride(r), count, n, r, CudaMemory.Address(gradients[i].B), DType.F32, r, 1, 1, true);
            }

            column += r;
            if (!gradients[i].Bias.IsEmpty)
                sums.Add(BiasParts(dy[i], m, n), 0, n, (m + BiasRows - 1) / BiasRows, 1, n, CudaMemory.Address(gradients[i].Bias), DType.F32, n, 1, 1, true);
        }

        Pack(ref packs);
        MultiplyNarrow(ref narrow, transposed: true, type.DType);
        Reduce(ref sums);
    }

    /// <summary>How many neighbours, the first among them, add to the first one's dA.</summary>
    private static int Sharers(ReadOnlySpan<ProjectionGradient> gradients)
    {
        int count = 1;
        while (count < gradients.Length && gradients[count].A == gradients[0].A) count++;
        return count;
    }

    /// <summary>dW [N, K] += dyᵀ·x.</summary>
    private void WeightGradients(ReadOnlySpan<Planes> dy, Planes x, ReadOnlySpan<ProjectionGradient> gradients, long m, long k, ProductType type)
    {
        ProductList products = default;
        for (int i = 0; i < dy.Length; i++)
        {
            if (gradients[i].W.Count == 0) continue;
            products.Add(gradients[i].W, gradients[i].W.Shape[0], k);
            products.AddSegments(dy[i], x, m);
        }

        Multiply(ref products, true, false, type.DType, accumulate: true);
    }

    private const int BiasRows = 128;

    /// <summary>Sums of 128 rows each: parts [M / 128 rounded up, N].</summary>
    private Tensor BiasParts(Tensor dy, long m, long n)
    {
        const int Threads = 256;
        long count = (m + BiasRows - 1) / BiasRows;
        Tensor parts = Scratch.Allocate(new Shape(count, n));
        if (n > 0) Launch("lora", $"lora_bias_{Suffix(dy.DType)}", new Grid((n + Threads - 1) / Threads, count), Threads, 0, [dy, parts, (int)m, (int)n]);
        return parts;
    }

    private void MultiplyNarrow(ref NarrowList narrow, bool transposed, DType type)
    {
        if (narrow.Blocks == 0 || narrow.MostParts == 0) return;
        NarrowList.Arguments arguments = narrow.Launch;
        Launch("lora", $"lora_partial_{(transposed ? "tn" : "nt")}_{Suffix(type)}", new Grid(narrow.Blocks, narrow.MostParts), NarrowList.Threads,
            NarrowList.SharedBytes, [KernelArgument.Struct(ref arguments)]);
    }

    private void Reduce(ref ReduceList sums)
    {
        const int Threads = 256;
        if (sums.MostElements == 0) return;
        ReduceList.Array jobs = sums.Jobs;
        Launch("lora", "lora_reduce", new Grid((sums.MostElements + Threads - 1) / Threads, sums.Count), Threads, 0, [KernelArgument.Struct(ref jobs)]);
    }
}
