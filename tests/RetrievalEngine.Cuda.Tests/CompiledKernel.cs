using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;

namespace RetrievalEngine.Cuda.Tests;

/// <summary>A kernel as ptxas made it for one architecture.</summary>
internal sealed partial record CompiledKernel(string Architecture, string Name, int Registers, int StackBytes, int SharedBytes, int LocalBytes)
{
    /// <summary>All kernels of a fatbin, for every architecture in it.</summary>
    public static IReadOnlyList<CompiledKernel> Read(string fatbin)
    {
        List<CompiledKernel> kernels = [];
        string architecture = "", name = "";
        foreach (string line in Toolchain.Dump("-res-usage", fatbin))
        {
            if (ArchitectureLine().Match(line) is { Success: true } a) architecture = a.Groups[1].Value;
            else if (FunctionLine().Match(line) is { Success: true } f) name = f.Groups[1].Value;
            else if (UsageLine().Match(line) is { Success: true } u)
                kernels.Add(new CompiledKernel(architecture, name, Number(u, 1), Number(u, 2), Number(u, 3), Number(u, 4)));
        }

        return kernels;
    }

    /// <summary>How often each instruction, with its modifiers, stands in each kernel's SASS for <paramref name="architecture"/>.</summary>
    public static Dictionary<string, Dictionary<string, int>> CountInstructions(string fatbin, string architecture)
    {
        Dictionary<string, Dictionary<string, int>> kernels = [];
        Dictionary<string, int> current = [];
        foreach (string line in Toolchain.Dump("-sass", "-arch", architecture, fatbin))
        {
            if (SassFunctionLine().Match(line) is { Success: true } f) kernels[f.Groups[1].Value] = current = [];
            else if (InstructionLine().Match(line) is { Success: true } i)
                current[i.Groups[1].Value] = current.GetValueOrDefault(i.Groups[1].Value) + 1;
        }

        return kernels;
    }

    private static int Number(Match match, int group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^arch = (\S+)")]
    private static partial Regex ArchitectureLine();

    [GeneratedRegex(@"^ Function (\w+):")]
    private static partial Regex FunctionLine();

    [GeneratedRegex(@"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")]
    private static partial Regex UsageLine();

    [GeneratedRegex(@"^\s*Function : (\w+)")]
    private static partial Regex SassFunctionLine();

    // /*0010*/   @!P0 LDG.E.128.CONSTANT R4, [R2.64] ;
    [GeneratedRegex(@"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][\w.]+)")]
    private static partial Regex InstructionLine();
}
