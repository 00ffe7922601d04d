# Tells what the rest of this PC is doing, in JSON lines (core/policy/signals/watcher-lines.ts has their schema), until its stdin ends.
# Windows PowerShell 5.1; the C# is version 5. Nothing is written anywhere and nothing is changed.
param([int]$AgentPid = 0)
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false

Add-Type -TypeDefinition @'
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

public static class HearthlendSignals
{
    [StructLayout(LayoutKind.Sequential)] struct LastInputInfo { public uint Size; public uint Time; }
    [StructLayout(LayoutKind.Sequential)] struct PowerStatus { public byte AcLine, BatteryFlag, Percent, SaverFlag; public int Life, FullLife; }
    [StructLayout(LayoutKind.Sequential, CharSet = CharSet.Unicode)]
    struct ProcessEntry
    {
        public uint Size, Usage, Pid; public UIntPtr HeapId; public uint ModuleId, Threads, ParentPid; public int Priority; public uint Flags;
        [MarshalAs(UnmanagedType.ByValTStr, SizeConst = 260)] public string File;
    }
    [StructLayout(LayoutKind.Sequential)] struct Luid { public uint Low; public int High; }
    [StructLayout(LayoutKind.Sequential)] struct AdapterInfo { public uint Handle; public Luid Luid; public uint Sources; public int Precise; }
    [StructLayout(LayoutKind.Sequential)] struct EnumAdapters { public uint Count; public IntPtr Adapters; }
    [StructLayout(LayoutKind.Sequential)] struct QueryInfo { public uint Handle; public int Type; public IntPtr Data; public uint Size; }
    [StructLayout(LayoutKind.Sequential)] struct CounterItem { public IntPtr Name; public uint Status; public uint Padding; public double Value; }

    [DllImport("user32.dll")] static extern bool GetLastInputInfo(ref LastInputInfo info);
    [DllImport("user32.dll")] static extern IntPtr GetForegroundWindow();
    [DllImport("user32.dll")] static extern uint GetWindowThreadProcessId(IntPtr window, out uint pid);
    [DllImport("shell32.dll")] static extern int SHQueryUserNotificationState(out int state);
    [DllImport("kernel32.dll")] static extern bool GetSystemPowerStatus(out PowerStatus status);
    [DllImport("kernel32.dll")] static extern bool GetSystemTimes(out long idle, out long kernel, out long user);
    [DllImport("kernel32.dll")] static extern IntPtr OpenProcess(uint access, bool inherit, uint pid);
    [DllImport("kernel32.dll")] static extern bool GetProcessTimes(IntPtr process, out long made, out long ended, out long kernel, out long user);
    [DllImport("kernel32.dll")] static extern bool CloseHandle(IntPtr handle);
    [DllImport("kernel32.dll")] static extern uint WTSGetActiveConsoleSessionId();
    [DllImport("kernel32.dll", SetLastError = true)] static extern IntPtr CreateToolhelp32Snapshot(uint flags, uint pid);
    [DllImport("kernel32.dll", CharSet = CharSet.Unicode)] static extern bool Process32FirstW(IntPtr snapshot, ref ProcessEntry entry);
    [DllImport("kernel32.dll", CharSet = CharSet.Unicode)] static extern bool Process32NextW(IntPtr snapshot, ref ProcessEntry entry);
    [DllImport("wtsapi32.dll")] static extern bool WTSQuerySessionInformationW(IntPtr server, uint session, int what, out IntPtr data, out uint size);
    [DllImport("wtsapi32.dll")] static extern void WTSFreeMemory(IntPtr data);
    [DllImport("gdi32.dll")] static extern int D3DKMTEnumAdapters2(ref EnumAdapters adapters);
    [DllImport("gdi32.dll")] static extern int D3DKMTQueryAdapterInfo(ref QueryInfo query);
    [DllImport("pdh.dll", CharSet = CharSet.Unicode)] static extern uint PdhOpenQueryW(string source, IntPtr user, out IntPtr query);
    [DllImport("pdh.dll", CharSet = CharSet.Unicode)] static extern uint PdhAddEnglishCounterW(IntPtr query, string path, IntPtr user, out IntPtr counter);
    [DllImport("pdh.dll")] static extern uint PdhCollectQueryData(IntPtr query);
    [DllImport("pdh.dll")] static extern uint PdhGetFormattedCounterArrayW(IntPtr counter, uint format, ref uint size, out uint count, IntPtr items);

    static readonly Dictionary<uint, string> processes = new Dictionary<uint, string>();
    static readonly HashSet<uint> own = new HashSet<uint>();
    static readonly Dictionary<string, string> addresses = new Dictionary<string, string>();
    static uint agent;
    static IntPtr query = IntPtr.Zero, engines, memory;
    static long beforeIdle = -1, beforeTotal, beforeOwn;

    public static void Start(uint agentPid)
    {
        agent = agentPid;
        // Our end of the pipe closes however the agent goes.
        Thread reader = new Thread(delegate() { while (Console.In.Read() != -1) { } Environment.Exit(0); });
        reader.IsBackground = true;
        reader.Start();
        FindAddresses();
        if (PdhOpenQueryW(null, IntPtr.Zero, out query) != 0) { query = IntPtr.Zero; return; }
        if (PdhAddEnglishCounterW(query, "\\GPU Engine(*)\\Utilization Percentage", IntPtr.Zero, out engines) != 0) engines = IntPtr.Zero;
        if (PdhAddEnglishCounterW(query, "\\GPU Process Memory(*)\\Dedicated Usage", IntPtr.Zero, out memory) != 0) memory = IntPtr.Zero;
        PdhCollectQueryData(query);
    }

    // Idle time, the front, lock, power and the processes that have come and gone.
    public static string Look()
    {
        StringBuilder line = new StringBuilder("{");
        LastInputInfo input = new LastInputInfo();
        input.Size = (uint)Marshal.SizeOf(typeof(LastInputInfo));
        line.Append("\"idleMs\":").Append(GetLastInputInfo(ref input) ? Number(unchecked((uint)Environment.TickCount - input.Time)) : "null");
        string changed = Processes();
        line.Append(",\"fullScreen\":").Append(FullScreen());
        line.Append(",\"locked\":").Append(Locked());
        line.Append(",\"power\":").Append(Power());
        return line.Append(changed).Append("}").ToString();
    }

    // What others make of processor and GPUs since the last time.
    public static string Load()
    {
        return "{\"otherCpuLoad\":" + Cpu() + ",\"gpus\":" + Gpus() + "}";
    }

    static string Processes()
    {
        IntPtr snapshot = CreateToolhelp32Snapshot(2, 0);
        if (snapshot == new IntPtr(-1)) return "";
        Dictionary<uint, string> now = new Dictionary<uint, string>();
        Dictionary<uint, uint> parents = new Dictionary<uint, uint>();
        ProcessEntry entry = new ProcessEntry();
        entry.Size = (uint)Marshal.SizeOf(typeof(ProcessEntry));
        for (bool more = Process32FirstW(snapshot, ref entry); more; more = Process32NextW(snapshot, ref entry))
        {
            now[entry.Pid] = entry.File;
            parents[entry.Pid] = entry.ParentPid;
        }
        CloseHandle(snapshot);
        own.Clear();
        own.Add(agent);
        for (int before = 0; before != own.Count; )
        {
            before = own.Count;
            foreach (KeyValuePair<uint, uint> each in parents) if (own.Contains(each.Value)) own.Add(each.Key);
        }
        List<string> started = new List<string>(), ended = new List<string>();
        foreach (KeyValuePair<uint, string> each in now)
        {
            string was;
            if (processes.TryGetValue(each.Key, out was) && was == each.Value) continue;
            if (!own.Contains(each.Key)) started.Add("[" + each.Key + "," + Text(each.Value) + "]");
        }
        foreach (uint pid in processes.Keys) if (!now.ContainsKey(pid)) ended.Add(pid.ToString(CultureInfo.InvariantCulture));
        processes.Clear();
        foreach (KeyValuePair<uint, string> each in now) processes[each.Key] = each.Value;
        return ",\"started\":[" + string.Join(",", started.ToArray()) + "],\"ended\":[" + string.Join(",", ended.ToArray()) + "]";
    }

    static string FullScreen()
    {
        int state;
        // 2: a full-screen program; 3: one that has Direct3D's exclusive mode; 4: a presentation.
        if (SHQueryUserNotificationState(out state) != 0 || state < 2 || state > 4) return "null";
        uint pid;
        string name;
        GetWindowThreadProcessId(GetForegroundWindow(), out pid);
        if (pid == 0 || own.Contains(pid) || !processes.TryGetValue(pid, out name)) return "null";
        return "{\"name\":" + Text(name) + "}";
    }

    static string Locked()
    {
        IntPtr data;
        uint size;
        if (!WTSQuerySessionInformationW(IntPtr.Zero, WTSGetActiveConsoleSessionId(), 25, out data, out size)) return "null";
        // WTSINFOEX: level, then aligned to 8 the session's id, its state and its flags: 0 locked, 1 unlocked.
        int flags = size >= 20 ? Marshal.ReadInt32(data, 16) : -1;
        WTSFreeMemory(data);
        return flags == 0 ? "true" : flags == 1 ? "false" : "null";
    }

    static string Power()
    {
        PowerStatus status;
        if (!GetSystemPowerStatus(out status) || status.AcLine > 1) return "null";
        bool none = (status.BatteryFlag & 128) != 0 || status.Percent > 100;
        string source = status.AcLine == 1 ? "\"mains\"" : "\"battery\"";
        return "{\"source\":" + source + ",\"percent\":" + (none ? "null" : Number(status.Percent)) + "}";
    }

    static string Cpu()
    {
        long idle, kernel, user;
        if (!GetSystemTimes(out idle, out kernel, out user)) return "null";
        long ours = 0, total = kernel + user;
        foreach (uint pid in own)
        {
            IntPtr handle = OpenProcess(0x1000, false, pid);
            if (handle == IntPtr.Zero) continue;
            long made, ended, inKernel, inUser;
            if (GetProcessTimes(handle, out made, out ended, out inKernel, out inUser)) ours += inKernel + inUser;
            CloseHandle(handle);
        }
        long passed = total - beforeTotal, busy = passed - (idle - beforeIdle);
        // What one of ours took that has ended is lost: such a stretch is left out.
        bool known = beforeIdle >= 0 && passed > 0 && ours >= beforeOwn;
        string share = known ? Number(Math.Max(0, Math.Min(1, (double)(busy - (ours - beforeOwn)) / passed))) : "null";
        beforeIdle = idle; beforeTotal = total; beforeOwn = ours;
        return share;
    }

    static string Gpus()
    {
        if (query == IntPtr.Zero || PdhCollectQueryData(query) != 0) return "{}";
        Dictionary<string, double> perEngine = new Dictionary<string, double>(), bytes = new Dictionary<string, double>();
        foreach (KeyValuePair<string, double> item in Items(engines)) Add(perEngine, item, true);
        foreach (KeyValuePair<string, double> item in Items(memory)) Add(bytes, item, false);
        Dictionary<string, double> load = new Dictionary<string, double>();
        foreach (KeyValuePair<string, double> each in perEngine)
        {
            string gpu = each.Key.Substring(0, each.Key.IndexOf(' '));
            double most;
            load.TryGetValue(gpu, out most);
            load[gpu] = Math.Max(most, each.Value / 100);
        }
        List<string> parts = new List<string>();
        foreach (string address in new HashSet<string>(addresses.Values))
        {
            double share, held;
            string told = "\"otherLoad\":" + (engines == IntPtr.Zero ? "null" : Number(Math.Min(1, load.TryGetValue(address, out share) ? share : 0)));
            told += ",\"otherVramBytes\":" + (memory == IntPtr.Zero ? "null" : Number(Math.Round(bytes.TryGetValue(address + " ", out held) ? held : 0)));
            parts.Add(Text(address) + ":{" + told + "}");
        }
        return "{" + string.Join(",", parts.ToArray()) + "}";
    }

    // pid_1234_luid_0x00000000_0x0000C9A3_phys_0_eng_0_engtype_3D; of memory without the engine.
    static void Add(Dictionary<string, double> sums, KeyValuePair<string, double> item, bool byEngine)
    {
        string[] words = item.Key.Split('_');
        uint pid;
        string address;
        if (words.Length < 7 || words[0] != "pid" || words[2] != "luid" || !uint.TryParse(words[1], out pid) || own.Contains(pid)) return;
        if (!addresses.TryGetValue((words[3] + "_" + words[4]).ToUpperInvariant(), out address)) return;
        string key = address + " " + (byEngine && words.Length > 8 ? words[8] : "");
        double sum;
        sums.TryGetValue(key, out sum);
        sums[key] = sum + item.Value;
    }

    static List<KeyValuePair<string, double>> Items(IntPtr counter)
    {
        List<KeyValuePair<string, double>> found = new List<KeyValuePair<string, double>>();
        uint size = 0, count;
        // 0x200: as double. The first call says how much room it takes.
        if (counter == IntPtr.Zero || PdhGetFormattedCounterArrayW(counter, 0x200, ref size, out count, IntPtr.Zero) != 0x800007D2 || size > 1 << 24) return found;
        IntPtr room = Marshal.AllocHGlobal((int)size);
        try
        {
            if (PdhGetFormattedCounterArrayW(counter, 0x200, ref size, out count, room) != 0) return found;
            int each = Marshal.SizeOf(typeof(CounterItem));
            for (int at = 0; at < count; at++)
            {
                CounterItem item = (CounterItem)Marshal.PtrToStructure(new IntPtr(room.ToInt64() + (long)at * each), typeof(CounterItem));
                if (item.Status <= 1) found.Add(new KeyValuePair<string, double>(Marshal.PtrToStringUni(item.Name), item.Value));
            }
        }
        finally { Marshal.FreeHGlobal(room); }
        return found;
    }

    // Which PCI address each adapter of the counters has.
    static void FindAddresses()
    {
        EnumAdapters adapters = new EnumAdapters();
        if (D3DKMTEnumAdapters2(ref adapters) != 0 || adapters.Count == 0 || adapters.Count > 64) return;
        int each = Marshal.SizeOf(typeof(AdapterInfo));
        adapters.Adapters = Marshal.AllocHGlobal(each * (int)adapters.Count);
        IntPtr data = Marshal.AllocHGlobal(12);
        try
        {
            if (D3DKMTEnumAdapters2(ref adapters) != 0) return;
            for (int at = 0; at < adapters.Count; at++)
            {
                AdapterInfo info = (AdapterInfo)Marshal.PtrToStructure(new IntPtr(adapters.Adapters.ToInt64() + (long)at * each), typeof(AdapterInfo));
                QueryInfo ask = new QueryInfo();
                // KMTQAITYPE_ADAPTERADDRESS: bus, device and function.
                ask.Handle = info.Handle; ask.Type = 6; ask.Data = data; ask.Size = 12;
                if (D3DKMTQueryAdapterInfo(ref ask) != 0) continue;
                int bus = Marshal.ReadInt32(data), device = Marshal.ReadInt32(data, 4), function = Marshal.ReadInt32(data, 8);
                // Adapters that are no hardware have none.
                if (bus < 0 || bus > 255 || device < 0 || device > 31 || function < 0 || function > 7) continue;
                string luid = string.Format(CultureInfo.InvariantCulture, "0X{0:X8}_0X{1:X8}", info.Luid.High, info.Luid.Low);
                addresses[luid] = string.Format(CultureInfo.InvariantCulture, "0000:{0:x2}:{1:x2}.{2}", bus, device, function);
            }
        }
        finally { Marshal.FreeHGlobal(adapters.Adapters); Marshal.FreeHGlobal(data); }
    }

    static string Number(double value) { return value.ToString("R", CultureInfo.InvariantCulture); }

    static string Text(string value)
    {
        StringBuilder text = new StringBuilder("\"");
        foreach (char each in value)
        {
            if (each == '"' || each == '\\') text.Append('\\').Append(each);
            else if (each < ' ') text.Append("\\u").Append(((int)each).ToString("x4", CultureInfo.InvariantCulture));
            else text.Append(each);
        }
        return text.Append("\"").ToString();
    }
}
'@

[HearthlendSignals]::Start([uint32]$AgentPid)
$round = 0
while ($true) {
    [Console]::Out.WriteLine([HearthlendSignals]::Look())
    if ($round % 3 -eq 0) { [Console]::Out.WriteLine([HearthlendSignals]::Load()) }
    if ($round % 20 -eq 0) {
        $metered = 'null'
        try {
            $kind = [Windows.Networking.Connectivity.NetworkInformation, Windows, ContentType = WindowsRuntime]
            $cost = $kind::GetInternetConnectionProfile().GetConnectionCost().NetworkCostType
            if ($cost -eq 'Unrestricted') { $metered = 'false' } elseif ($cost -eq 'Fixed' -or $cost -eq 'Variable') { $metered = 'true' }
        } catch { $metered = 'null' }
        [Console]::Out.WriteLine("{`"metered`":$metered}")
    }
    [Console]::Out.Flush()
    $round++
    Start-Sleep -Milliseconds 1000
}
