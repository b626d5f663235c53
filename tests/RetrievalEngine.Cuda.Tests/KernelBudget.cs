using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.IO.Enumeration;
using System.Linq;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>One row of kernels/budgets.txt.</summary>
/// <param name="Pattern">file.kernel, with * for anything.</param>
/// <param name="Registers">At most.</param>
/// <param name="SharedBytes">Static shared memory, at most.</param>
/// <param name="Instructions">Beginnings of SASS instructions with the count that there must be at least.</param>
internal sealed record KernelBudget(string Pattern, int Registers, int SharedBytes, IReadOnlyDictionary<string, int> Instructions)
{
    /// <summary>The rows of the table.</summary>
    public static IReadOnlyList<KernelBudget> Read(string path) =>
        [.. File.ReadLines(path).Where(line => line.Length > 0 && line[0] != '#').Select(Parse)];

    /// <summary>Whether it is for kernel <paramref name="kernel"/> of <paramref name="file"/>.</summary>
    public bool Matches(string file, string kernel) => FileSystemName.MatchesSimpleExpression(Pattern, $"{file}.{kernel}", ignoreCase: false);

    /// <summary>Whether it is for kernels of <paramref name="file"/>.</summary>
    public bool IsOf(string file) => Pattern.StartsWith(file + ".", StringComparison.Ordinal);

    private static KernelBudget Parse(string line)
    {
        string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length < 3) throw new FormatException($"budgets.txt: '{line}' has not file.kernel, registers, shared bytes");
        return new KernelBudget(
            fields[0], int.Parse(fields[1], CultureInfo.InvariantCulture), int.Parse(fields[2], CultureInfo.InvariantCulture),
            fields[3..].Select(f => f.Split('=')).ToDictionary(p => p[0], p => int.Parse(p[1], CultureInfo.InvariantCulture)));
    }
}
