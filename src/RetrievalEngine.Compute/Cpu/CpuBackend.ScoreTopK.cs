namespace RetrievalEngine.Compute.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc cref="IBackend.ScoreTopK"/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, long firstRow, Tensor scores, Tensor indices, bool merge)
    {
        (long q, long n, long d, long k) = OpChecks.ScoreTopK(queries, rows, rowScales, firstRow, scores, indices);
        if (!merge)
        {
            scores.AsSpan<float>().Fill(float.NegativeInfinity);
            indices.AsSpan<long>().Fill(-1);
        }

        if (k == 0) return;
        _workers.Run(new ScoreJob(Pointer<float>(queries), rows, Pointer<float>(rowScales), firstRow, n, d, k, Pointer<float>(scores), Pointer<long>(indices)), checked((int)q));
    }

    private readonly struct ScoreJob(float* queries, Tensor rows, float* rowScales, long firstRow, long n, long d, long k, float* scores, long* indices) : IJob
    {
        public void Run(int task)
        {
            float* query = queries + task * d, list = scores + task * k;
            long* ids = indices + task * k;
            for (long i = 0; i < n; i++)
            {
                float score = 0;
                for (long j = 0; j < d; j++) score += query[j] * (rows.DType == DType.I8 ? Pointer<sbyte>(rows)[i * d + j] : rows.DType == DType.F32 ? Pointer<float>(rows)[i * d + j] : rows.DType == DType.F16 ? (float)Pointer<System.Half>(rows)[i * d + j] : System.BitConverter.UInt32BitsToSingle((uint)Pointer<ushort>(rows)[i * d + j] << 16));
                if (rowScales != null) score *= rowScales[i];
                if (Before(score, firstRow + i, list[k - 1], ids[k - 1])) Insert(list, ids, score, firstRow + i);
            }
        }

        private void Insert(float* list, long* ids, float score, long id)
        {
            long place = k - 1;
            for (; place > 0 && Before(score, id, list[place - 1], ids[place - 1]); place--)
            {
                list[place] = list[place - 1];
                ids[place] = ids[place - 1];
            }

            list[place] = score;
            ids[place] = id;
        }

        private static bool Before(float score, long id, float otherScore, long otherId) =>
            otherId < 0 || score > otherScore || (score == otherScore && id < otherId);
    }
}
