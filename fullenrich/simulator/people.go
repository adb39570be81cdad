package simulator

// The material people are made of. Companies and links are under example
// domains, so that nothing in a demo leads to anybody.

type place struct{ city, region, country, code, language, school string }

type role struct {
	title, seniority, function, sub, does string
	skills                                []string
}

type field struct {
	name, about string
	specialties []string
}

type size struct {
	label    string
	from, to int
}

var firstNames = []string{
	"Mara", "Jonas", "Aiko", "Luis", "Priya", "Samuel", "Ingrid", "Tomasz", "Leila", "Diego", "Nora", "Kwame", "Elena",
	"Mateo", "Yara", "Oliver", "Hana", "Rafael", "Sofia", "Ben", "Amara", "Lukas", "Isabel", "Arjun", "Freya", "Miguel",
	"Clara", "Andrei", "Zoe", "Paolo", "Ruth", "Emil", "Dalisay", "Theo", "Camille", "Marco", "Anika", "Joel", "Rosa", "Finn",
}

var lastNames = []string{
	"Ilagan", "Berger", "Tanaka", "Moreno", "Sharma", "Okafor", "Lindqvist", "Kowalski", "Haddad", "Silva", "Novak", "Mensah",
	"Petrova", "Castillo", "Nasser", "Wright", "Sato", "Costa", "Rossi", "Miller", "Adeyemi", "Weber", "Navarro", "Patel",
	"Holm", "Reyes", "Dubois", "Ionescu", "Clarke", "Bianchi", "Fischer", "Santos", "Jensen", "Marchetti", "Larsson", "Grant",
}

var companyNames = []string{
	"Tala Robotics", "Bulan Systems", "Northwind Analytics", "Harbor Freight Labs", "Cedar Health", "Brightline Energy",
	"Copperfield Bank", "Lumen Studio", "Atlas Mobility", "Greenacre Foods", "Quayside Insurance", "Polar Data", "Kite Learning",
	"Meridian Travel", "Silverbirch Software", "Redwood Biotech", "Fathom Security", "Juniper Retail", "Oakline Construction",
	"Saltwater Media", "Vector Logistics", "Willow Care", "Ember Games", "Granite Cloud", "Sable Payments", "Orchard HR",
}

var places = []place{
	{"Cebu City", "Central Visayas", "Philippines", "PH", "Cebuano", "Cebu Institute of Science"},
	{"Berlin", "Berlin", "Germany", "DE", "German", "Spree Technical University"},
	{"Lyon", "Auvergne-Rhône-Alpes", "France", "FR", "French", "École du Rhône"},
	{"Austin", "Texas", "United States", "US", "English", "Hill Country College"},
	{"Toronto", "Ontario", "Canada", "CA", "English", "Lakeshore University"},
	{"Manchester", "England", "United Kingdom", "GB", "English", "Pennine University"},
	{"São Paulo", "São Paulo", "Brazil", "BR", "Portuguese", "Faculdade do Tietê"},
	{"Bengaluru", "Karnataka", "India", "IN", "Kannada", "Cauvery Institute of Technology"},
	{"Kraków", "Lesser Poland", "Poland", "PL", "Polish", "Vistula Polytechnic"},
	{"Nairobi", "Nairobi County", "Kenya", "KE", "Swahili", "Rift Valley University"},
	{"Osaka", "Osaka", "Japan", "JP", "Japanese", "Naniwa Institute"},
	{"Madrid", "Community of Madrid", "Spain", "ES", "Spanish", "Universidad del Manzanares"},
	{"Stockholm", "Stockholm County", "Sweden", "SE", "Swedish", "Mälaren College"},
	{"Melbourne", "Victoria", "Australia", "AU", "English", "Yarra University"},
}

var roles = []role{
	{"Platform Lead", "Head", "Engineering", "Software", "Owns the platform that other teams build on.", []string{"Go", "PostgreSQL", "Kubernetes", "Incident response"}},
	{"Software Engineer", "Senior", "Engineering", "Software", "Builds services and keeps them running.", []string{"TypeScript", "Go", "Testing", "APIs"}},
	{"Product Manager", "Manager", "Product", "Product Management", "Decides with customers what is built next.", []string{"Roadmaps", "Interviews", "Pricing"}},
	{"Head of Marketing", "Head", "Marketing", "Growth", "Runs campaigns, content and the newsletter.", []string{"SEO", "Lifecycle e-mail", "Positioning"}},
	{"Account Executive", "Senior", "Sales", "New Business", "Sells to mid-sized companies.", []string{"Negotiation", "Forecasting", "CRM"}},
	{"Chief Financial Officer", "C-Level", "Finance", "Accounting", "Responsible for finance and controlling.", []string{"Budgeting", "M&A", "Reporting"}},
	{"UX Designer", "Senior", "Design", "User Experience", "Designs flows that people understand.", []string{"Prototyping", "Research", "Design systems"}},
	{"Data Scientist", "Senior", "Engineering", "Data", "Turns usage data into decisions.", []string{"Python", "Statistics", "SQL"}},
	{"Operations Manager", "Manager", "Operations", "Logistics", "Keeps warehouses and suppliers in step.", []string{"Lean", "Procurement", "Planning"}},
	{"Founder", "Founder", "General Management", "Entrepreneurship", "Started the company and still answers support.", []string{"Fundraising", "Hiring", "Strategy"}},
	{"HR Business Partner", "Manager", "Human Resources", "People", "Hires and develops teams.", []string{"Recruiting", "Coaching", "Labor law"}},
	{"VP Customer Success", "VP", "Customer Success", "Retention", "Looks after the largest customers.", []string{"Onboarding", "Renewals", "Support"}},
}

var industries = []field{
	{"Software Development", "Software for small teams.", []string{"SaaS", "Integrations"}},
	{"Robotics Engineering", "Warehouse robots.", []string{"Robotics", "Logistics"}},
	{"Financial Services", "Payments and accounts for businesses.", []string{"Payments", "Compliance"}},
	{"Hospitals and Health Care", "Clinics and remote care.", []string{"Telehealth", "Patient records"}},
	{"Retail", "Goods for home and garden.", []string{"E-commerce", "Private label"}},
	{"Renewable Energy", "Solar parks and storage.", []string{"Solar", "Grid storage"}},
	{"Transportation and Logistics", "Freight by road and sea.", []string{"Freight", "Customs"}},
	{"E-Learning", "Courses for working people.", []string{"Courses", "Certification"}},
}

var sizes = []size{{"1-10", 2, 10}, {"11-50", 11, 50}, {"51-200", 51, 200}, {"201-500", 201, 500},
	{"501-1000", 501, 1000}, {"1001-5000", 1001, 5000}, {"5001-10000", 5001, 10_000}}

var streets = []string{"Harbor Road", "River Street", "Station Square", "Mill Lane", "Market Street", "Garden Avenue",
	"Bridge Street", "Hill Road"}

var degrees = []string{"BSc Computer Engineering", "BA Economics", "MSc Statistics", "MBA", "BA Design", "LLB",
	"BSc Mechanical Engineering", "MA Communication"}
