using System;

namespace RetrievalEngine.Compute;

public static partial class OpChecks
{
    /// <summary>Checks <see cref="IBackend.EmbeddingForward"/>.</summary>
    public static void EmbeddingForward(Tensor table, Tensor ids, Tensor y)
    {
        const string Op = nameof(EmbeddingForward);
        RequireFloat(Op, nameof(table), table);
        RequireEmbedding(Op, nameof(table), table, ids, nameof(y), y);
    }

    /// <summary>Checks <see cref="IBackend.EmbeddingBackward"/>.</summary>
    public static void EmbeddingBackward(Tensor dy, Tensor ids, Tensor dtable)
    {
        const string Op = nameof(EmbeddingBackward);
        Require(!dtable.IsEmpty && dtable.DType == DType.F32, Op, $"dtable is {dtable} but must be F32");
        RequireEmbedding(Op, nameof(dtable), dtable, ids, nameof(dy), dy);
    }

    /// <summary>Checks the values of row numbers, where they are on the host: 0 to <paramref name="rows"/> - 1.</summary>
    public static void Indices(string op, string name, ReadOnlySpan<int> indices, long rows)
    {
        for (int i = 0; i < indices.Length; i++)
        {
            if ((uint)indices[i] >= rows) throw new ArgumentException($"{op}: {name}[{i}] is {indices[i]} but there are {rows} rows");
        }
    }

    private static void RequireEmbedding(string op, string tableName, Tensor table, Tensor ids, string rowsName, Tensor rows)
    {
        Require(table.Shape.Rank == 2, op, $"{tableName} is {table} but must be [vocabulary, hidden]");
        Require(!ids.IsEmpty && ids.DType == DType.I32 && ids.Shape.Rank == 1, op, $"ids is {ids} but must be I32 [tokens]");
        RequireFloat(op, rowsName, rows);
        Shape shape = new(ids.Count, table.Shape[1]);
        Require(rows.Shape == shape, op, $"{rowsName} is {rows} but must be {shape}");
    }
}
