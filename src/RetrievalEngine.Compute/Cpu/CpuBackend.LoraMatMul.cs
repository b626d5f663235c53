using System;
using System.Runtime.Intrinsics;
using RetrievalEngine.Compute.Cpu.Gemm;

namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void LoraMatMulForward(Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s, ReadOnlySpan<Tensor> y,
        Activation activation = Activation.None)
    {
        (long m, long k) = OpChecks.LoraMatMulForward(x, projections, dropout, s, y);
        const string Op = nameof(LoraMatMulForward);
        long rank = TotalRank(projections);
        bool drops = dropout.Probability > 0 && rank > 0;
        using Scratch.Loan dropped = _scratch.Rent(drops ? m * k * sizeof(float) : 0);
        Operand input = new((byte*)Floats(Op, x), x, kMajor: false);
        if (drops) Drop(dropout, Floats(Op, x), (float*)dropped.Pointer, m * k, accumulate: false);

        int n = projections.Length;
        GemmPlan plan = new(m, stackalloc GemmSource[n + 2], stackalloc GemmSegment[3 * n], stackalloc GemmProduct[2 * n]);
        int whole = plan.Source(input, k), kept = drops ? plan.Source(new Operand((byte*)dropped.Pointer, x, kMajor: false), k) : whole;
        for (int i = 0; i < n; i++)
        {
            if (projections[i].Rank == 0) continue;
            plan.Product(Floats(Op, s[i]), projections[i].Rank, projections[i].Rank, projections[i].Scale);
            plan.Segment(kept, new Operand(Pointer<byte>(projections[i].A), projections[i].A, kMajor: false));
        }

        plan.NextStage();
        for (int i = 0; i < n; i++)
        {
            Projection p = projections[i];
            plan.Product(Floats(Op, y[i]), p.Outputs, p.Outputs, bias: Pointer<float>(p.Bias), activation: activation);
            plan.Segment(whole, new Operand(Pointer<byte>(p.W), p.W, kMajor: false));
            if (p.Rank == 0) continue;
            int adapter = plan.Source(new Operand(Pointer<byte>(s[i]), s[i], kMajor: false), p.Rank);
            plan.Segment(adapter, new Operand(Pointer<byte>(p.B), p.B, kMajor: false));
        }

        plan.Run(_workers, _scratch);
    }

    /// <inheritdoc/>
    public void LoraMatMulBackward(ReadOnlySpan<Tensor> dy, Tensor x, ReadOnlySpan<Projection> projections, Dropout dropout, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, Tensor dx, bool accumulate = false)
    {
        (long m, long k) = OpChecks.LoraMatMulBackward(dy, x, projections, dropout, s, gradients, dx);
        const string Op = nameof(LoraMatMulBackward);
        float* input = Floats(Op, x), to = Floats(Op, dx);
        long rank = TotalRank(projections);
        bool drops = dropout.Probability > 0 && rank > 0;
        using Scratch.Loan ds = _scratch.Rent(m * rank * sizeof(float)), dropped = _scratch.Rent(drops ? m * k * sizeof(float) : 0);
        if (!dx.IsEmpty || HasAdapterGradient(gradients))
        {
            InputGradient(dy, projections, (float*)ds.Pointer, rank, m, k, to, accumulate, drops ? (float*)dropped.Pointer : null);
            if (drops && to != null) Drop(dropout, (float*)dropped.Pointer, to, m * k, accumulate: true);
        }

        if (HasAdapterGradient(gradients))
        {
            if (drops) Drop(dropout, input, (float*)dropped.Pointer, m * k, accumulate: false);
            AdapterGradients(dy, projections, s, gradients, (float*)ds.Pointer, rank, drops ? (float*)dropped.Pointer : input, m, k);
        }

        for (int i = 0; i < projections.Length; i++)
        {
            long n = projections[i].Outputs;
            if (!gradients[i].W.IsEmpty)
            {
                Multiply(new Operand(Pointer<byte>(dy[i]), dy[i], kMajor: true), new Operand(Pointer<byte>(x), x, kMajor: true),
                    Pointer<float>(gradients[i].W), n, k, m, accumulate: true);
            }

            if (!gradients[i].Bias.IsEmpty) AddRows(Floats(Op, dy[i]), Pointer<float>(gradients[i].Bias), m, n);
        }
    }

    private static long TotalRank(ReadOnlySpan<Projection> projections)
    {
        long sum = 0;
        foreach (Projection projection in projections) sum += projection.Rank;
        return sum;
    }

    private static bool HasAdapterGradient(ReadOnlySpan<ProjectionGradient> gradients)
    {
        foreach (ProjectionGradient gradient in gradients)
        {
            if (!gradient.A.IsEmpty) return true;
        }

        return false;
    }

    /// <summary>
    /// ds [M, Σ R] = scale · dy·B side by side, and dx = Σ dy·W + ds·A, unless dx is null. With dropout ds·A must pass the mask first: it goes to
    /// <paramref name="masked"/> [M, K].
    /// </summary>
    private void InputGradient(ReadOnlySpan<Tensor> dy, ReadOnlySpan<Projection> projections, float* ds, long rank, long m, long k, float* dx,
        bool accumulate, float* masked)
    {
        int n = projections.Length;
        GemmPlan plan = new(m, stackalloc GemmSource[2 * n], stackalloc GemmSegment[3 * n], stackalloc GemmProduct[n + 2]);
        float* part = ds;
        for (int i = 0; i < n; i++)
        {
            Projection p = projections[i];
            int source = plan.Source(new Operand((byte*)Floats(nameof(LoraMatMulBackward), dy[i]), dy[i], kMajor: false), p.Outputs);
            if (p.Rank == 0) continue;
            plan.Product(part, rank, p.Rank, p.Scale);
            plan.Segment(source, new Operand(Pointer<byte>(p.B), p.B, kMajor: true));
            part += p.Rank;
        }

        plan.NextStage();
        if (dx != null)
        {
            plan.Product(dx, k, k, accumulate: accumulate);
            for (int i = 0; i < n; i++) plan.Segment(i, new Operand(Pointer<byte>(projections[i].W), projections[i].W, kMajor: true));
            if (masked != null) plan.Product(masked, k, k);
            part = ds;
            for (int i = 0; i < n; i++)
            {
                Projection p = projections[i];
                if (p.Rank == 0) continue;
                int source = plan.Source(new Operand((byte*)part, DType.F32, rank, kMajor: false), p.Rank);
                plan.Segment(source, new Operand(Pointer<byte>(p.A), p.A, kMajor: true));
                part += p.Rank;
            }
        }

        plan.Run(_workers, _scratch);
    }

    /// <summary>dA += dsᵀ·x for all adapters in one product; dBᵀ += sᵀ·dy, so that the long side is the side of the vectors.</summary>
    private void AdapterGradients(ReadOnlySpan<Tensor> dy, ReadOnlySpan<Projection> projections, ReadOnlySpan<Tensor> s,
        ReadOnlySpan<ProjectionGradient> gradients, float* ds, long rank, float* x, long m, long k)
    {
        long width = k;
        foreach (Projection projection in projections) width = Math.Max(width, projection.Outputs);
        using Scratch.Loan loan = _scratch.Rent(rank * width * sizeof(float));
        float* sums = (float*)loan.Pointer, part = sums;
        Multiply(new Operand((byte*)ds, DType.F32, rank, kMajor: true), new Operand((byte*)x, DType.F32, k, kMajor: true), sums, rank, k, m);
        for (int i = 0; i < projections.Length; i++)
        {
            long r = projections[i].Rank;
            if (!gradients[i].A.IsEmpty) Map(default(Sum), part, Pointer<float>(gradients[i].A), Pointer<float>(gradients[i].A), r * k);
            part += r * k;
        }

        for (int i = 0; i < projections.Length; i++)
        {
            if (gradients[i].B.IsEmpty) continue;
            (long n, long r) = (projections[i].Outputs, projections[i].Rank);
            Multiply(new Operand((byte*)Floats(nameof(LoraMatMulBackward), s[i]), s[i], kMajor: true),
                new Operand(Pointer<byte>(dy[i]), dy[i], kMajor: true), sums, r, n, m);
            float* gradient = Pointer<float>(gradients[i].B);
            for (long row = 0; row < r; row++)
            {
                for (long column = 0; column < n; column++) gradient[column * r + row] += sums[row * n + column];
            }
        }
    }

    /// <summary>y = kept(x) / (1 - p), or added to y.</summary>
    private void Drop(Dropout dropout, float* x, float* y, long count, bool accumulate)
    {
        int tasks = Tasks(count, 8);
        _workers.Run(new DropJob(dropout, x, y, count, accumulate, tasks), tasks);
    }

    /// <summary>sums [N] += the rows of x [M, N], from the first to the last.</summary>
    private void AddRows(float* x, float* sums, long m, long n)
    {
        int tasks = Tasks(n, 4 * m);
        _workers.Run(new AddRowsJob(x, sums, m, n, tasks), tasks);
    }

    private readonly struct DropJob(Dropout dropout, float* x, float* y, long count, bool accumulate, int tasks) : IJob
    {
        private const ulong Step = 0x9E3779B97F4A7C15UL, EightSteps = unchecked(8 * Step);

        public void Run(int task)
        {
            (long start, long end) = VectorRange(count, task, tasks);
            Vector512<float> scale = Vector512.Create(1 / (1 - dropout.Probability));
            // Eight counters a vector; each round draws sixteen numbers.
            Vector512<ulong> lanes = Vector512.CreateSequence(0UL, Step), low = Vector512.Create(dropout.Seed + (ulong)start * Step) + lanes;
            for (long i = start; i < end; i += VectorMath.Width)
            {
                Vector512<ulong> high = low + Vector512.Create(EightSteps);
                Vector512<uint> random = Vector512.Narrow(Mix(low) >> 32, Mix(high) >> 32);
                low = high + Vector512.Create(EightSteps);
                Vector512<float> kept = Vector512.GreaterThanOrEqual(random, Vector512.Create(dropout.Threshold)).AsSingle();
                int width = (int)Math.Min(VectorMath.Width, end - i);
                Vector512<float> value = VectorMath.Load(x + i, width) * scale & kept;
                VectorMath.Store(accumulate ? VectorMath.Load(y + i, width) + value : value, y + i, width);
            }
        }

        // Dropout.Mix of eight numbers.
        private static Vector512<ulong> Mix(Vector512<ulong> z)
        {
            z = (z ^ (z >> 30)) * Vector512.Create(0xBF58476D1CE4E5B9UL);
            z = (z ^ (z >> 27)) * Vector512.Create(0x94D049BB133111EBUL);
            return z ^ (z >> 31);
        }
    }

    private readonly struct AddRowsJob(float* x, float* sums, long m, long n, int tasks) : IJob
    {
        public void Run(int task)
        {
            (long start, long end) = VectorRange(n, task, tasks);
            for (long row = 0; row < m; row++) MapRow(default(Sum), sums + start, x + row * n + start, sums + start, end - start);
        }
    }
}
